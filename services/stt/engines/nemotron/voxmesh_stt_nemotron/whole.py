"""Recognition with models that need a whole utterance: Parakeet (RNN-T, TDT, CTC) and Canary (attention)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch

from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.language_tags import primary
from voxmesh_stt.engine import EngineInfo, Phrase, RecognitionOptions, Step, Transcript
from voxmesh_stt.utterances import DecodeRequest, Hypothesis, Utterances, UtteranceSession, latency_outcome
from voxmesh_stt_nemotron.phrases import PhraseList, context_outcomes, phrase_outcomes
from voxmesh_stt_nemotron.settings import NemotronSettings
from voxmesh_stt_nemotron.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Listener:
    """What a stream wants of each of its decodes."""

    phrases: tuple[Phrase, ...]
    compiled: PhraseList | None
    language_code: str
    """The caller's likeliest, or the model's only one; "" when neither says."""


Request = DecodeRequest[Listener]


class Reader(Protocol):
    """How one kind of model turns utterances into words."""

    takes_phrases: bool
    even_boosts: bool
    """All phrases are favoured alike."""
    times_words: bool

    def compile(self, phrases: tuple[Phrase, ...]) -> PhraseList | None:
        """A list for one more stream; None for an empty one."""
        ...

    def give_back(self, phrases: tuple[Phrase, ...]) -> None:
        """One stream of the list less."""
        ...

    def read(self, requests: Sequence[Request]) -> Sequence[Hypothesis]:
        """Decode utterances of several streams."""
        ...

    def close(self) -> None:
        """Free what no stream uses."""
        ...


class WholeRecognizer:
    """All streams of one model of whole utterances."""

    def __init__(self, model: Any, vocabulary: Vocabulary, settings: NemotronSettings, info: EngineInfo) -> None:
        self._settings = settings
        self._reader = _reader(model, vocabulary, settings, info)
        self._utterances = Utterances[Listener](self._decode, settings, info.max_batch_size)
        self.info = replace(
            info,
            streaming=True,
            word_time_offsets=self._reader.times_words,
            phrase_biasing=self._reader.takes_phrases,
        )

    def warm_up(self) -> None:
        """Decode a second of silence."""
        silence = torch.zeros(16000).numpy()
        self._reader.read([DecodeRequest(Listener((), None, self._language(())), 0, silence, is_final=True)])

    def open(self, options: RecognitionOptions) -> UtteranceSession[Listener]:
        """A session for one stream."""
        compiled = self._reader.compile(options.phrases)
        outcomes = [*phrase_outcomes(options, compiled, even=self._reader.even_boosts), *context_outcomes(options)]
        if options.max_latency_s is not None:
            outcomes.append(latency_outcome(options.max_latency_s, self._settings))
        listener = Listener(options.phrases, compiled, self._language(options.language_codes))
        return self._utterances.open(options, listener, outcomes, lambda state: self._reader.give_back(state.phrases))

    def step(self, steps: Sequence[Step]) -> list[list[Transcript]]:
        """Take new audio of different sessions."""
        return self._utterances.step(steps)

    def close(self) -> None:
        """Free the phrase lists that no stream uses."""
        self._reader.close()

    def _decode(self, requests: Sequence[Request]) -> Sequence[Hypothesis]:
        with torch.inference_mode():
            return self._reader.read(requests)

    def _language(self, wanted: Sequence[str]) -> str:
        known = self.info.facts.language_codes
        if wanted:
            return primary(wanted[0])
        return known[0] if len(known) == 1 else ""


def _reader(model: Any, vocabulary: Vocabulary, settings: NemotronSettings, info: EngineInfo) -> Reader:
    # Each kind imports parts of NeMo that the others do not need.
    from voxmesh_stt_nemotron.acoustic import AcousticReader  # noqa: PLC0415
    from voxmesh_stt_nemotron.attention import AttentionReader  # noqa: PLC0415

    if hasattr(model, "transf_decoder"):
        return AttentionReader(model, info.facts.language_codes)
    if hasattr(model, "joint") or hasattr(model.decoder, "num_classes_with_blank"):
        return AcousticReader(model, vocabulary, settings, info.facts.device)
    name = type(model).__name__
    raise FailedPrecondition("model", info.facts.model, f"{info.facts.model} is a {name}, which this engine cannot run")
