"""Whole utterances through an acoustic encoder, with a transducer or a CTC head behind it, or both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_stt.engine import Phrase
from voxmesh_stt.utterances import Hypothesis
from voxmesh_stt_nemotron.ctc import CtcHead
from voxmesh_stt_nemotron.mel import MelFrontend
from voxmesh_stt_nemotron.phrases import PhraseList
from voxmesh_stt_nemotron.session import SAMPLE_RATE_HERTZ
from voxmesh_stt_nemotron.settings import NemotronSettings
from voxmesh_stt_nemotron.spotting import Spotter
from voxmesh_stt_nemotron.transducer import Transducer
from voxmesh_stt_nemotron.trees import NO_TREE, Tree, Trees
from voxmesh_stt_nemotron.utterance import Utterance
from voxmesh_stt_nemotron.vocabulary import Vocabulary

if TYPE_CHECKING:
    from voxmesh_stt_nemotron.whole import Request


class AcousticReader:
    """See `voxmesh_stt_nemotron.whole.Reader`.

    Phrases are spotted in the scores of a CTC head where there is one, and else favoured by a tree.
    """

    takes_phrases = True
    times_words = True

    def __init__(self, model: Any, vocabulary: Vocabulary, settings: NemotronSettings, device: str) -> None:
        self._encoder = model.encoder
        self._vocabulary = vocabulary
        self._frontend = MelFrontend(model, device)
        factor = getattr(model.encoder, "subsampling_factor", None)
        if factor is None:
            kind = type(model.encoder).__name__
            raise FailedPrecondition(
                "model", kind, f"the encoder {kind} is none of the Conformers that this engine runs"
            )
        self._frame_s: float = factor * self._frontend.hop_samples / SAMPLE_RATE_HERTZ
        self._transducer = Transducer(model, cuda_graphs=settings.cuda_graphs) if hasattr(model, "joint") else None
        self._head = CtcHead.of(model)
        self._spotter = self._trees = None
        if self._head is not None:
            self._spotter = Spotter(model, self._head, vocabulary, settings)
        elif self._transducer is not None:
            self._trees = Trees(self._transducer, vocabulary, settings.phrase_weight, settings.unused_phrase_lists)
        self.even_boosts = self._spotter is not None

    def compile(self, phrases: tuple[Phrase, ...]) -> PhraseList | None:
        """A list for one more stream."""
        holder = self._spotter or self._trees
        return None if holder is None else holder.take(phrases)

    def give_back(self, phrases: tuple[Phrase, ...]) -> None:
        """One stream of the list less."""
        if (holder := self._spotter or self._trees) is not None:
            holder.give_back(phrases)

    def close(self) -> None:
        """Free the lists that no stream uses."""
        if (holder := self._spotter or self._trees) is not None:
            holder.close()

    def read(self, requests: Sequence[Request]) -> list[Hypothesis]:
        """Decode utterances of several streams in one batch."""
        encoded, lengths = self._encode(requests)
        scores = None if self._head is None else self._head.scores(encoded)
        if self._transducer is not None:
            trees = [_tree_of(request) for request in requests]
            decoded = self._transducer.decode(encoded, lengths, [None] * len(requests), trees)
            tokens = [result.tokens for result in decoded]
        else:
            assert self._head is not None and scores is not None  # noqa: S101, PT018 # one of both, by construction
            tokens = self._head.tokens(scores, lengths)
        hypotheses: list[Hypothesis] = []
        for index, request in enumerate(requests):
            utterance = Utterance.of(tokens[index], self._vocabulary)
            if self._spotter is not None and scores is not None and request.state.compiled is not None:
                self._spotter.spot(request.state.compiled, scores[index, : int(lengths[index])], utterance)
            hypotheses.append(self._hypothesis(utterance, request))
        return hypotheses

    def _encode(self, requests: Sequence[Request]) -> tuple[torch.Tensor, torch.Tensor]:
        """Encoder output [batch, features, frames] and how many frames are valid."""
        lengths = [len(request.samples) for request in requests]
        audio = np.zeros((len(requests), max(lengths)), np.float32)
        for row, request in zip(audio, requests, strict=True):
            row[: len(request.samples)] = request.samples
        mel, frames = self._frontend.whole(torch.from_numpy(audio), torch.tensor(lengths))
        return self._encoder(audio_signal=mel, length=frames)

    def _hypothesis(self, utterance: Utterance, request: Request) -> Hypothesis:
        words = utterance.timed(self._frame_s, 0.0, len(request.samples) / SAMPLE_RATE_HERTZ)
        return Hypothesis(utterance.text, words, utterance.confidence, request.state.language_code)


def _tree_of(request: Request) -> int:
    compiled = request.state.compiled
    return compiled.number if isinstance(compiled, Tree) else NO_TREE
