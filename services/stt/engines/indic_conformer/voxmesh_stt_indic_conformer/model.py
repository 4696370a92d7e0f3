"""The loaded model: speech of several streams in, hypotheses out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from voxmesh_runtime.audio import Samples
from voxmesh_stt.utterances import Hypothesis
from voxmesh_stt_indic_conformer.decoding import Encoded, ctc_greedy, rnnt_greedy
from voxmesh_stt_indic_conformer.files import Decoder, ModelFolder
from voxmesh_stt_indic_conformer.graphs import Loader
from voxmesh_stt_indic_conformer.mel import SAMPLE_RATE_HERTZ, log_mel
from voxmesh_stt_indic_conformer.network import CtcHead, Encoder, Transducer, vocabulary
from voxmesh_stt_indic_conformer.phrases import PhraseTree
from voxmesh_stt_indic_conformer.tokens import Token, hypothesis


@dataclass(frozen=True, slots=True)
class Speech:
    """An utterance at 16 kHz."""

    samples: Samples
    language: str
    phrases: PhraseTree | None = None


Decoding: TypeAlias = Callable[[Sequence[Encoded]], list[list[Token]]]


class Model:
    """The graphs of one decoder in memory; its calls block and must not overlap.

    Raises:
        Exception: any of onnxruntime's, when a graph cannot be loaded.
    """

    def __init__(self, folder: ModelFolder, decoder: Decoder, loader: Loader) -> None:
        self._ids = folder.ids()
        self.vocabulary = {language: tokens[: self._ids.blank] for language, tokens in vocabulary(folder).items()}
        self._encoder = Encoder(loader, folder)
        self._decoded = self._ctc(loader, folder) if decoder == "ctc" else self._rnnt(loader, folder)

    def transcribe(self, batch: Sequence[Speech]) -> list[Hypothesis]:
        """What was said in each utterance; languages may differ."""
        steps = self._encoder([log_mel(speech.samples) for speech in batch])
        encoded = [Encoded(row, one.language, one.phrases) for row, one in zip(steps, batch, strict=True)]
        tokens = self._decoded(encoded)
        return [
            hypothesis(found, self.vocabulary[one.language], one.language, len(one.samples) / SAMPLE_RATE_HERTZ)
            for found, one in zip(tokens, batch, strict=True)
        ]

    def _ctc(self, loader: Loader, folder: ModelFolder) -> Decoding:
        head = CtcHead(loader, folder)
        return lambda utterances: ctc_greedy(head, utterances, self._ids)

    def _rnnt(self, loader: Loader, folder: ModelFolder) -> Decoding:
        transducer = Transducer(loader, folder, self._ids)
        return lambda utterances: rnnt_greedy(transducer, utterances, self._ids)
