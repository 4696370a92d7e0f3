"""Greedy decoding of a batch: CTC step by step, RNNT for all utterances side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from voxmesh_stt_indic_conformer.files import Ids
from voxmesh_stt_indic_conformer.graphs import Floats
from voxmesh_stt_indic_conformer.network import CtcHead, Predicted, Transducer
from voxmesh_stt_indic_conformer.phrases import PhraseTree, Place
from voxmesh_stt_indic_conformer.tokens import Token

_WINDOW_STEPS = 8
"""Steps that are scored at once: until a token comes, the prediction network does not change."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """An utterance to decode."""

    steps: Floats
    """[steps, width]."""
    language: str
    phrases: PhraseTree | None = None


def ctc_greedy(head: CtcHead, utterances: Sequence[Encoded], ids: Ids) -> list[list[Token]]:
    """The best path of each utterance, without repetitions and blanks; phrases do not touch it."""
    return [_collapsed(head(one.steps, one.language), ids.blank) for one in utterances]


def _collapsed(scores: Floats, blank: int) -> list[Token]:
    tokens: list[Token] = []
    before = blank
    for step, (row, best) in enumerate(zip(scores, scores.argmax(axis=1).tolist(), strict=True)):
        if best != blank and best == before:
            last = tokens[-1]
            tokens[-1] = Token(last.id, last.begin, step + 1, max(last.log_probability, float(row[best])))
        elif best != blank:
            tokens.append(Token(best, step, step + 1, float(row[best])))
        before = best
    return tokens


@dataclass(slots=True)
class _Row:
    """How far the decoding of one utterance is."""

    utterance: Encoded
    projected: Floats
    predicted: Predicted
    place: Place
    at: int = 0
    """The step to look at next."""
    tokens: list[Token] = field(default_factory=list[Token])

    @property
    def window(self) -> Floats:
        """Sums of both sides of the joint for the next steps."""
        return self.projected[self.at : self.at + _WINDOW_STEPS] + self.predicted.projected

    def take(self, scores: Floats, ids: Ids) -> bool:
        """Go to the first step of the window that has a token, or past it; whether there is one."""
        found = np.flatnonzero(scores.argmax(axis=1) != ids.blank)
        if not found.size:
            self.at += len(scores)
            return False
        row, phrases = scores[found[0]], self.utterance.phrases
        self.at += int(found[0])
        # Whether a token comes at all, phrases do not change: they would put words into noise.
        bonus = phrases.bonus(self.place)[:-1] if phrases else 0
        token = int(np.argmax(row[:-1] + bonus))
        self.tokens.append(Token(token, self.at, self.at + 1, float(row[token])))
        self.place = phrases.after(self.place, token) if phrases else ()
        if sum(1 for one in self.tokens[-ids.max_symbols :] if one.begin == self.at) >= ids.max_symbols:
            self.at += 1
        return True


def rnnt_greedy(transducer: Transducer, utterances: Sequence[Encoded], ids: Ids) -> list[list[Token]]:
    """The greedy path of each utterance; those that are still under way share each run of a graph."""
    started = transducer.started(len(utterances))
    projected = transducer.projected([one.steps for one in utterances])
    rows = [
        _Row(one, side, started.row(index), one.phrases.start() if one.phrases else ())
        for index, (one, side) in enumerate(zip(utterances, projected, strict=True))
    ]
    while active := [row for row in rows if row.at < len(row.projected)]:
        emitted = [row for row, scores in _scored(transducer, active) if row.take(scores, ids)]
        _advance(transducer, emitted)
    return [row.tokens for row in rows]


def _scored(transducer: Transducer, rows: Sequence[_Row]) -> Iterable[tuple[_Row, Floats]]:
    for language in {row.utterance.language for row in rows}:
        speaking = [row for row in rows if row.utterance.language == language]
        windows = [row.window for row in speaking]
        scores = transducer.scores(np.concatenate(windows), language)
        ends = np.cumsum([len(window) for window in windows])[:-1]
        yield from zip(speaking, np.split(scores, ends), strict=True)


def _advance(transducer: Transducer, rows: Sequence[_Row]) -> None:
    if not rows:
        return
    state = Predicted.of([row.predicted for row in rows])
    after = transducer.after([row.tokens[-1].id for row in rows], state.hidden, state.cell)
    for index, row in enumerate(rows):
        row.predicted = after.row(index)
