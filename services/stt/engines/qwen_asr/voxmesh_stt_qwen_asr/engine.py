"""Qwen3-ASR as an engine of the speech-to-text service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voxmesh_runtime.engine import EngineContext, ModelFacts
from voxmesh_runtime.models import Checkpoint
from voxmesh_runtime.outcomes import Outcome, approximated, ignored
from voxmesh_stt.engine import EngineInfo, RecognitionOptions, Step, Transcript, Word
from voxmesh_stt.utterances import DecodeRequest, Hypothesis, Utterances, UtteranceSession, latency_outcome
from voxmesh_stt_qwen_asr.backend import LONGEST_ALIGNED_S, SAMPLE_RATE_HERTZ, Speech, Spoken, Track
from voxmesh_stt_qwen_asr.biasing import context_of, refuse_added_tokens
from voxmesh_stt_qwen_asr.checkpoint import PUBLISHED
from voxmesh_stt_qwen_asr.languages import language_name, tag_of, tags_of
from voxmesh_stt_qwen_asr.settings import QwenAsrSettings

if TYPE_CHECKING:
    # Importing the libraries takes ten seconds, in which the server should already say that it loads.
    from voxmesh_stt_qwen_asr.aligner import Aligner
    from voxmesh_stt_qwen_asr.loading import Loaded


@dataclass(frozen=True, slots=True)
class Stream:
    """What the engine attaches to a session."""

    track: Track
    wants_words: bool


class QwenAsrEngine:
    """One model for all streams; see `voxmesh_stt.engine.Engine`."""

    def __init__(self, context: EngineContext, settings: QwenAsrSettings) -> None:
        self._context = context
        self._settings = settings
        self._checkpoint = PUBLISHED.find(context.model)
        self._aligner = None if settings.aligner is None else PUBLISHED.find(settings.aligner)
        self._model: Loaded | None = None
        self._utterances = Utterances[Stream](self._decode, settings, settings.max_batch_size)
        self.info = EngineInfo(_facts(self._checkpoint))

    def load(self) -> None:
        """Load the model; does nothing when it is loaded.

        Raises:
            ModelError: its files are not to be had.
            FailedPrecondition: they are none of such a model, or the operator's device fails.
        """
        if self._model is not None:
            return
        from voxmesh_stt_qwen_asr.loading import load_model  # noqa: PLC0415 # as above

        found = load_model(self._checkpoint, self._aligner, self._context, self._settings)
        self._model = found.model
        self.info = self._info(found.model, found.device, found.reason)

    def warm_up(self) -> None:
        """Decode a second of silence."""
        track = self._loaded().backend.track("", None)
        self._loaded().backend.decode([Speech(track, 0, np.zeros(SAMPLE_RATE_HERTZ, np.float32))])
        track.close()

    def open(self, options: RecognitionOptions) -> UtteranceSession[Stream]:
        """A session for one stream.

        Raises:
            InvalidArgument: phrases or context hold a control token.
        """
        model = self._loaded()
        refuse_added_tokens(options, model.backend.tokenizer)
        context, outcomes = context_of(options, model.backend.tokenizer, self._settings.max_context_tokens)
        language = language_name(options.language_codes[0]) if len(options.language_codes) == 1 else None
        outcomes += _outcomes(options, language, model.aligner, self._settings)
        wants_words = options.word_time_offsets and model.aligner is not None
        return self._utterances.open(
            options,
            Stream(model.backend.track(context, language), wants_words),
            outcomes,
            close_state=lambda stream: stream.track.close(),
            end_utterance=lambda stream: stream.track.forget(),
        )

    def step(self, steps: Sequence[Step]) -> Sequence[Sequence[Transcript]]:
        """Take the new audio of several sessions."""
        return self._utterances.step(steps)

    def close(self) -> None:
        """Free the model."""
        self._model = None

    def _decode(self, requests: Sequence[DecodeRequest[Stream]]) -> list[Hypothesis]:
        model = self._loaded()
        heard = model.backend.decode([Speech(r.state.track, r.utterance, r.samples) for r in requests])
        words: dict[int, tuple[Word, ...]] = {}
        if model.aligner is not None:
            asking = [index for index, r in enumerate(requests) if r.is_final and r.state.wants_words]
            spoken = [Spoken(requests[i].samples, heard[i].text, heard[i].language) for i in asking]
            words = dict(zip(asking, model.aligner.align(spoken), strict=True))
        return [
            Hypothesis(h.text, words.get(index, ()), language_code=tag_of(h.language)) for index, h in enumerate(heard)
        ]

    def _loaded(self) -> Loaded:
        if self._model is None:
            raise RuntimeError("load() comes before the first use")
        return self._model

    def _info(self, model: Loaded, device: str, reason: str) -> EngineInfo:
        codes = tags_of(model.backend.languages)
        return EngineInfo(
            _facts(self._checkpoint, device, reason, codes),
            mixed_languages=True,
            word_time_offsets=model.aligner is not None,
            context_biasing=True,
            max_batch_size=self._settings.max_batch_size,
        )


def _facts(checkpoint: Checkpoint, device: str = "cpu", reason: str = "", codes: tuple[str, ...] = ()) -> ModelFacts:
    return ModelFacts(
        model=checkpoint.name,
        license=checkpoint.license,
        device=device,
        device_reason=reason,
        language_codes=codes,
    )


def _outcomes(
    options: RecognitionOptions, language: str | None, aligner: Aligner | None, settings: QwenAsrSettings
) -> list[Outcome]:
    outcomes: list[Outcome] = []
    if len(options.language_codes) > 1:
        how = "the model takes one language or detects it; it detects, among all that it knows"
        outcomes.append(approximated("config.language_codes", how))
    if options.word_time_offsets:
        outcomes.append(_word_outcome(language, aligner))
    if options.max_latency_s is not None:
        outcomes.append(latency_outcome(options.max_latency_s, settings))
    return outcomes


def _word_outcome(language: str | None, aligner: Aligner | None) -> Outcome:
    field = "config.word_time_offsets"
    if aligner is None:
        return ignored(field, "no forced aligner is loaded; the operator names one in VOXMESH_QWEN_ASR_ALIGNER")
    known = ", ".join(tags_of(aligner.languages))
    if language is not None and language not in aligner.languages:
        return ignored(field, f"the forced aligner knows only {known}")
    return approximated(
        field, f"by forced alignment of final results up to {LONGEST_ALIGNED_S} s long, in {known} only"
    )
