"""The published package runs a checkpoint of its architecture with random weights: no speech, but all of the path."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from voxmesh_runtime.engine import EngineContext
from voxmesh_tts.engine import SpokenWord, SynthesisOptions
from voxmesh_tts_kokoro.backend import HERTZ
from voxmesh_tts_kokoro.engine import KokoroEngine
from voxmesh_tts_kokoro.settings import KokoroSettings
from voxmesh_tts_kokoro.torch_backend import TorchBackend
from voxmesh_tts_kokoro.voices import Voices

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def backend(checkpoint: Path) -> TorchBackend:
    return TorchBackend(checkpoint, "cpu")


def test_durations_are_those_of_the_audio_and_of_each_phoneme(backend: TorchBackend) -> None:
    spoken = backend.speak("həllO.", Voices().style("af_heart", 6), 1.0)
    assert spoken.frames is not None
    assert len(spoken.frames) == 6 + 2
    assert len(spoken.samples) == spoken.frames.sum() * HERTZ // 40
    assert np.abs(spoken.samples).max() > 0


def test_the_same_phonemes_sound_the_same_and_a_rate_shortens_them(backend: TorchBackend) -> None:
    style = Voices().style("af_heart", 6)
    first, again, fast = (backend.speak("həllO.", style, rate).samples for rate in (1.0, 1.0, 2.0))
    assert np.array_equal(first, again)
    assert len(fast) < len(first)


def test_the_engine_speaks_by_torch(checkpoint: Path) -> None:
    settings = KokoroSettings(backend="torch")
    engine = KokoroEngine(EngineContext(model=str(checkpoint), device="cpu"), settings)
    engine.load()
    assert (engine.info.facts.device, engine.info.facts.license) == ("cpu", "unknown")
    pieces = list(engine.open(SynthesisOptions("bf_emma", "en-GB", word_time_offsets=True)).synthesize("Hello there."))
    words = [piece.text for piece in pieces if isinstance(piece, SpokenWord)]
    assert words == ["Hello", "there"]
    assert sum(len(piece) for piece in pieces if not isinstance(piece, SpokenWord)) > 0
    engine.close()


def test_nothing_of_misaki_is_imported_or_left_behind(backend: TorchBackend) -> None:
    assert backend.vocabulary
    assert not {"misaki", "misaki.en", "spacy", "phonemizer"} & sys.modules.keys()
