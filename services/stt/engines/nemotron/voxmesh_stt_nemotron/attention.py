"""Whole utterances through an attention decoder, such as Canary's, in the language that it is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from voxmesh_stt.engine import Phrase
from voxmesh_stt.utterances import Hypothesis
from voxmesh_stt_nemotron.phrases import PhraseList

if TYPE_CHECKING:
    from voxmesh_stt_nemotron.whole import Request

_FALLBACK_LANGUAGE = "en"


class AttentionReader:
    """See `voxmesh_stt_nemotron.whole.Reader`.

    NeMo has phrases for this decoder too, but for all utterances of a batch alike: one stream's
    would touch another's.
    """

    takes_phrases = False
    even_boosts = False
    times_words = False

    def __init__(self, model: Any, language_codes: Sequence[str]) -> None:
        self._model = model
        # The first Canary has to be told what to do beside the language.
        self._task = {"task": "asr"} if getattr(model, "prompt_format", "") == "canary" else {}
        self._default = language_codes[0] if language_codes else _FALLBACK_LANGUAGE

    def compile(self, phrases: tuple[Phrase, ...]) -> PhraseList | None:
        """Takes none."""
        del phrases

    def give_back(self, phrases: tuple[Phrase, ...]) -> None:
        """Took none."""
        del phrases

    def close(self) -> None:
        """Holds nothing."""

    def read(self, requests: Sequence[Request]) -> list[Hypothesis]:
        """Decode utterances, those of one language in one batch."""
        hypotheses = [Hypothesis("")] * len(requests)
        languages = [request.state.language_code or self._default for request in requests]
        for language in sorted(set(languages)):
            indices = [index for index, own in enumerate(languages) if own == language]
            texts = self._texts([requests[index] for index in indices], language)
            for index, text in zip(indices, texts, strict=True):
                hypotheses[index] = Hypothesis(text, language_code=language)
        return hypotheses

    def _texts(self, requests: Sequence[Request], language: str) -> list[str]:
        results = self._model.transcribe(
            [request.samples for request in requests],
            batch_size=len(requests),
            source_lang=language,
            target_lang=language,
            pnc="yes",
            verbose=False,
            **self._task,
        )
        return [str(getattr(result, "text", result)).strip() for result in results]
