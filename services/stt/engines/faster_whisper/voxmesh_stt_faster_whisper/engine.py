"""Whisper as an engine of the speech-to-text service."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import ctranslate2
import numpy as np

from voxmesh_runtime.devices import CPU, load_on_first
from voxmesh_runtime.engine import EngineContext, ModelFacts
from voxmesh_runtime.outcomes import Outcome, approximated
from voxmesh_stt.engine import EngineInfo, RecognitionOptions, Step, Transcript
from voxmesh_stt.utterances import DecodeRequest, Hypothesis, Utterances, UtteranceSession, latency_outcome
from voxmesh_stt_faster_whisper.decoding import Decoder, Piece, Reading
from voxmesh_stt_faster_whisper.languages import Wanted
from voxmesh_stt_faster_whisper.model import SAMPLE_RATE_HERTZ, Model
from voxmesh_stt_faster_whisper.prompt import prompt_of
from voxmesh_stt_faster_whisper.settings import FasterWhisperSettings
from voxmesh_stt_faster_whisper.sources import ModelChoice, fetch, find_model

_SURE_OF_LANGUAGE_S = 3.0
"""Speech after which interim results no longer ask which language it is; the final result does."""
_BATCH_ON_CPU = 4
_BATCH_ON_GPU = 16


@dataclass(slots=True)
class StreamState:
    """What a stream asks of the model, and what was found out about its utterance."""

    preceding: tuple[int, ...]
    wanted: Wanted
    wants_words: bool
    utterance: int = -1
    """The utterance whose language is known."""
    language: str = ""


class FasterWhisperEngine:
    """One model for all streams; see `voxmesh_stt.engine.Engine`."""

    def __init__(self, context: EngineContext, settings: FasterWhisperSettings) -> None:
        self._context = context
        self._settings = settings
        self._choice = find_model(context.model)
        self._model: Model | None = None
        self._decoder: Decoder | None = None
        self._utterances = Utterances[StreamState](self._decode, settings)
        self.info = EngineInfo(_facts(self._choice))

    def load(self) -> None:
        """Fetch and load the model; does nothing when it is loaded."""
        if self._model is not None:
            return
        files = fetch(self._choice, self._context.cache_dir)

        def loaded(device: str) -> Model:
            compute_type = _compute_type(self._settings.compute_type, device)
            model = Model(self._choice.name, files, device, compute_type, self._context.threads)
            # Libraries of a GPU are looked for by the first computation alone.
            model.encode([model.features(np.zeros(SAMPLE_RATE_HERTZ, np.float32))], window_s=1)
            return model

        found = load_on_first(self._context.device, _gpu, loaded)
        self._model = found.model
        batch_size = self._settings.max_batch_size or (_BATCH_ON_CPU if found.device == CPU else _BATCH_ON_GPU)
        self._decoder = Decoder(found.model, self._settings, short_windows=self._short_windows(found.device))
        self._utterances = Utterances[StreamState](self._decode, self._settings, batch_size)
        facts = replace(
            _facts(self._choice),
            device=found.device,
            device_reason=found.reason,
            language_codes=found.model.language_codes,
        )
        self.info = EngineInfo(
            facts,
            mixed_languages=found.model.is_multilingual,
            word_time_offsets=True,
            context_biasing=True,
            max_batch_size=batch_size,
        )

    def warm_up(self) -> None:
        """Decode a second of silence in either way."""
        second = np.zeros(SAMPLE_RATE_HERTZ, np.float32)
        pieces = [Piece(second, (), (), is_final=is_final, wants_words=is_final) for is_final in (False, True)]
        self._loaded()[1].decode(pieces)

    def open(self, options: RecognitionOptions) -> UtteranceSession[StreamState]:
        """A session for one stream.

        Raises:
            InvalidArgument: a text of the biasing holds control tokens.
        """
        model, _ = self._loaded()
        prompt = prompt_of(options, model)
        wanted = Wanted.of(options.language_codes)
        state = StreamState(prompt.tokens, wanted, options.word_time_offsets)
        outcomes = [*prompt.outcomes, *self._outcomes(options, wanted)]
        return self._utterances.open(options, state, outcomes)

    def step(self, steps: Sequence[Step]) -> Sequence[Sequence[Transcript]]:
        """Take new audio; utterances of different streams are decoded together."""
        return self._utterances.step(steps)

    def close(self) -> None:
        """Free the model."""
        if self._model is not None:
            self._model.close()
            self._model = self._decoder = None

    def _decode(self, requests: Sequence[DecodeRequest[StreamState]]) -> list[Hypothesis]:
        readings = self._loaded()[1].decode([_piece(request) for request in requests])
        return [_hypothesis(request, reading) for request, reading in zip(requests, readings, strict=True)]

    def _short_windows(self, device: str) -> bool:
        if self._settings.window == "auto":
            return device == CPU and self._choice.source is None
        return self._settings.window == "short"

    def _outcomes(self, options: RecognitionOptions, wanted: Wanted) -> list[Outcome]:
        outcomes: list[Outcome] = []
        if len(wanted.codes) > 1:
            how = "each utterance's main language is detected among them; words of the others are heard within it"
            outcomes.append(approximated("config.language_codes", how))
        if options.max_latency_s is not None:
            outcomes.append(latency_outcome(options.max_latency_s, self._settings))
        return outcomes

    def _loaded(self) -> tuple[Model, Decoder]:
        if self._model is None or self._decoder is None:
            raise RuntimeError("load() comes before the first use")
        return self._model, self._decoder


def _piece(request: DecodeRequest[StreamState]) -> Piece:
    state = request.state
    is_known = state.utterance == request.utterance and not request.is_final
    languages = (state.language,) if is_known else state.wanted.codes
    wants_words = state.wants_words and request.is_final
    return Piece(request.samples, state.preceding, languages, request.is_final, wants_words)


def _hypothesis(request: DecodeRequest[StreamState], reading: Reading) -> Hypothesis:
    state = request.state
    if len(request.samples) >= _SURE_OF_LANGUAGE_S * SAMPLE_RATE_HERTZ:
        state.utterance, state.language = request.utterance, reading.language
    confidence = min(1.0, math.exp(reading.log_prob)) if reading.text else None
    return Hypothesis(reading.text, reading.words, confidence, state.wanted.tag(reading.language))


def _compute_type(wanted: str, device: str) -> str:
    if wanted != "auto":
        return wanted
    if device == CPU:
        return "int8"
    index = int(device.partition(":")[2] or 0)
    return "float16" if "float16" in ctranslate2.get_supported_compute_types("cuda", index) else "default"


def _gpu() -> str | None:
    return "cuda:0" if ctranslate2.get_cuda_device_count() else None


def _facts(choice: ModelChoice) -> ModelFacts:
    return ModelFacts(
        model=choice.name,
        license=choice.license,
    )
