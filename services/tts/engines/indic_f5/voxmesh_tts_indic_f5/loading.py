"""Load model and voices on the first device that works; importing this takes the libraries' three seconds."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import torch

from voxmesh_runtime.devices import OnDevice, load_on_first
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.models import Checkpoint
from voxmesh_tts_indic_f5.checkpoint import VOICES
from voxmesh_tts_indic_f5.model import CHOSEN_STEPS, IndicF5
from voxmesh_tts_indic_f5.references import Recording, Reference, References, UnusableReference, prepared
from voxmesh_tts_indic_f5.settings import IndicF5Settings
from voxmesh_tts_indic_f5.voices import VoiceEntry, read_manifest, read_recording
from voxmesh_tts_indic_f5.weights import read_models

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What an engine works with."""

    model: IndicF5
    entries: tuple[VoiceEntry, ...]
    voices: dict[str, Reference]
    """The operator's, by name."""
    references: References
    """The callers'."""


def load_model(checkpoint: Checkpoint, context: EngineContext, settings: IndicF5Settings) -> OnDevice[Loaded]:
    """Fetch and load the model and its voices.

    Raises:
        ModelError: the files are not to be had.
        FailedPrecondition: they are none of such a model, a voice is of no use, or the operator's device fails.
    """
    torch.set_num_threads(context.threads)
    folder = checkpoint.fetch(context.cache_dir)
    place = folder / VOICES if settings.voices is None else settings.voices.expanduser()
    # First what is refused at once.
    entries = read_manifest(place)
    recordings = {entry.name: _recording(place, entry) for entry in entries}
    if settings.steps not in CHOSEN_STEPS:
        log.warning(
            "no places in time were chosen for this number of steps: they are spaced evenly",
            extra={"steps": settings.steps, "chosen": CHOSEN_STEPS},
        )

    def load(device: str) -> Loaded:
        dtype = getattr(torch, settings.dtype)
        model = IndicF5(read_models(folder), device, dtype=dtype, steps=settings.steps, seed=settings.seed)
        references = References(model.mel, settings.max_references)
        voices = {name: references.made(recording) for name, recording in recordings.items()}
        return Loaded(model, entries, voices, references)

    return load_on_first(context.device, _accelerator, load)


def _recording(folder: Path, entry: VoiceEntry) -> Recording:
    try:
        return prepared(read_recording(folder, entry))
    except UnusableReference as error:
        raise FailedPrecondition(
            "voice", entry.name, f"voice {entry.name}: its {error.part} {error.problem}"
        ) from error


def _accelerator() -> str | None:
    return "cuda:0" if torch.cuda.is_available() else None
