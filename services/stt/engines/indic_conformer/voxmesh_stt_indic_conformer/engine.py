"""IndicConformer as an engine of the speech-to-text service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from voxmesh_runtime.devices import load_on_first
from voxmesh_runtime.engine import EngineContext, ModelFacts
from voxmesh_runtime.errors import FailedPrecondition, VoxmeshError
from voxmesh_runtime.outcomes import Outcome
from voxmesh_stt.engine import EngineInfo, RecognitionOptions, Step, Transcript
from voxmesh_stt.utterances import DecodeRequest, Hypothesis, Utterances, UtteranceSession, latency_outcome
from voxmesh_stt_indic_conformer.biasing import PhraseList, Trees, unbiased, usable
from voxmesh_stt_indic_conformer.files import DEFAULT_MODEL, LICENSE, ModelFolder, find_model
from voxmesh_stt_indic_conformer.graphs import Loader, accelerator
from voxmesh_stt_indic_conformer.languages import LANGUAGES, checked_default, chosen, outcomes
from voxmesh_stt_indic_conformer.mel import SAMPLE_RATE_HERTZ
from voxmesh_stt_indic_conformer.model import Model, Speech
from voxmesh_stt_indic_conformer.phrases import PhraseTree
from voxmesh_stt_indic_conformer.settings import IndicConformerSettings


@dataclass(frozen=True, slots=True)
class StreamState:
    """What one stream decodes with."""

    phrases: PhraseList
    tree: PhraseTree | None


class IndicConformerEngine:
    """One model for all streams; see `voxmesh_stt.engine.Engine`."""

    def __init__(self, context: EngineContext, settings: IndicConformerSettings) -> None:
        self._context = context
        self._settings = settings
        self._default_language = checked_default(settings.default_language)
        self._running: tuple[Model, Trees] | None = None
        self._utterances = Utterances[StreamState](self._decode, settings, settings.max_batch_size)
        self.info = EngineInfo(
            ModelFacts(
                model=context.model or DEFAULT_MODEL,
                license=LICENSE,
                language_codes=LANGUAGES,
            ),
            word_time_offsets=True,
            phrase_biasing=settings.decoder == "rnnt",
            max_batch_size=settings.max_batch_size,
        )

    def load(self) -> None:
        """Fetch and load the model; does nothing when it is loaded.

        Raises:
            FailedPrecondition: the model is not to be had, incomplete, or not one of this kind.
        """
        if self._running is not None:
            return
        folder = find_model(self._context.model, self._settings.decoder, self._context.cache_dir)
        loaded = load_on_first(self._context.device, accelerator, lambda device: self._load(folder, device))
        self._running = loaded.model, Trees(loaded.model.vocabulary, self._settings.phrase_weight)
        facts = replace(
            self.info.facts,
            model=folder.name,
            license=folder.license,
            device=loaded.device,
            device_reason=loaded.reason,
        )
        self.info = replace(self.info, facts=facts)

    def warm_up(self) -> None:
        """Decode a second of silence."""
        silence = np.zeros(SAMPLE_RATE_HERTZ, np.float32)
        model, _ = self._loaded()
        model.transcribe([Speech(silence, self._default_language or LANGUAGES[0])])

    def open(self, options: RecognitionOptions) -> UtteranceSession[StreamState]:
        """A session for one stream.

        Raises:
            InvalidArgument: no language is named, and the operator has no default.
        """
        model, trees = self._loaded()
        language = chosen(options, self._default_language)
        takes_phrases = self._settings.decoder == "rnnt"
        phrases, biasing = (
            usable(options, language, model.vocabulary[language]) if takes_phrases else unbiased(options, language)
        )
        state = StreamState(phrases, trees.take(phrases))
        return self._utterances.open(
            options,
            state,
            [*outcomes(options), *biasing, *_latency(options, self._settings)],
            close_state=lambda closed: trees.give_back(closed.phrases),
        )

    def step(self, steps: Sequence[Step]) -> Sequence[Sequence[Transcript]]:
        """Take new audio; what there is to decode goes to the model together."""
        return self._utterances.step(steps)

    def close(self) -> None:
        """Free the model."""
        self._running = None

    def _decode(self, requests: Sequence[DecodeRequest[StreamState]]) -> list[Hypothesis]:
        batch = [Speech(request.samples, request.state.phrases.language, request.state.tree) for request in requests]
        model, _ = self._loaded()
        return model.transcribe(batch)

    def _load(self, folder: ModelFolder, device: str) -> Model:
        try:
            return Model(folder, self._settings.decoder, Loader(device, self._context.threads))
        except VoxmeshError:
            raise
        except Exception as error:
            # onnxruntime's errors share no base; on a GPU any of them is the device's until the CPU fails too.
            if device != "cpu":
                raise
            message = f"model {folder.name!r} cannot be loaded as IndicConformer: {error}"
            raise FailedPrecondition("model", folder.name, message) from error

    def _loaded(self) -> tuple[Model, Trees]:
        if self._running is None:
            raise RuntimeError("load() comes before the first use")
        return self._running


def _latency(options: RecognitionOptions, settings: IndicConformerSettings) -> list[Outcome]:
    return [] if options.max_latency_s is None else [latency_outcome(options.max_latency_s, settings)]
