"""The words of a clause as its writer wrote them, for those that an engine speaks: "forty-eight dollars" is "$48"."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

from voxmesh_tts.clauses import Clause
from voxmesh_tts.engine import SpokenWord
from voxmesh_tts.speakable import speakable

_AROUND_WORDS: Final = "\"'\u201c\u201d\u2018\u2019\xab\xbb()[]{}<>.,;:!?\u2026\u2014\u2013-*_\u0964"


@dataclass(frozen=True, slots=True)
class _Run:
    """Words that are written, and the words that are spoken for them: those up to `end`."""

    written: str
    end: int


class WrittenWords:
    """Gives an engine's words back as they are written; several that are spoken for one are one."""

    def __init__(self, clause: Clause) -> None:
        self._clause = clause
        self._runs: list[_Run] | None = None
        self._spoken: list[str] = []
        self._count = 0
        """Spoken words that the engine has placed or passed over."""
        self._open: SpokenWord | None = None
        """What is spoken so far of a run that goes on."""

    def of(self, word: SpokenWord) -> list[SpokenWord]:
        """What is complete with the next word that the engine speaks."""
        runs = self._all_runs()
        before = self._run_at(self._count - 1)
        self._advance(word)
        run = self._run_at(self._count - 1)
        if run is None or not runs:
            return [*self.rest(), word]
        finished = self.rest() if run is not before else []
        begun = self._open
        text = word.text if run.written in word.text else run.written
        self._open = SpokenWord(text, word.start_s if begun is None else begun.start_s, word.end_s)
        return [*finished, *(self.rest() if self._count >= run.end else [])]

    def rest(self) -> list[SpokenWord]:
        """What was still open, at the end of the clause."""
        word, self._open = self._open, None
        return [] if word is None else [word]

    def _all_runs(self) -> list[_Run]:
        if self._runs is None:
            self._spoken = _bare_words(self._clause.text)
            self._runs = _runs(_bare_words(speakable(self._clause.written, schemes=True)), self._spoken)
        return self._runs

    def _advance(self, word: SpokenWord) -> None:
        """Count the words up to the end of `word`; those before it that the engine left out too."""
        bare = _bare_words(word.text)
        if bare and bare[0] in self._spoken[self._count :]:
            self._count = self._spoken.index(bare[0], self._count)
        self._count = min(len(self._spoken), self._count + max(1, len(bare)))

    def _run_at(self, place: int) -> _Run | None:
        if place < 0:
            return None
        return next((run for run in self._all_runs() if place < run.end), None)


def _runs(written: list[str], spoken: list[str]) -> list[_Run]:
    matcher = SequenceMatcher(None, written, spoken, autojunk=False)
    runs: list[_Run] = []
    for kind, begin, end, first, last in matcher.get_opcodes():
        if kind == "equal":
            runs += [_Run(word, place) for place, word in enumerate(written[begin:end], first + 1)]
        elif last > first:
            runs.append(_Run(" ".join(written[begin:end]), last))
    return runs


def _bare_words(text: str) -> list[str]:
    return [bare for word in text.split() if (bare := word.strip(_AROUND_WORDS))]
