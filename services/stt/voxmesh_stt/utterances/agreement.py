"""Which words of an interim text stay: those that two decodes in a row agree on.

The method is known as local agreement. What was agreed on is shown as it was first agreed,
whatever later decodes make of it, but for the stop after its last word: that goes when the speaker
goes on. The final result is the last decode alone.
"""

from __future__ import annotations

from difflib import SequenceMatcher

from voxmesh_stt.utterances.tokens import plain, tokens_of

STOPS = ".?!\u3002\u0964"
"""What a model puts after sentences."""


class Agreement:
    """The interim texts of one utterance."""

    def __init__(self) -> None:
        self._agreed: list[str] = []
        self._last: list[str] = []

    def update(self, text: str) -> tuple[str, int]:
        """Take the text of a decode.

        Returns:
            The text to show, and how many characters of it, from the start, will stay.
        """
        tokens = tokens_of(text)
        known = self._agreed_length_in(tokens)
        if self._agreed and 0 < known <= len(tokens) and tokens[known - 1].startswith(_stem(self._agreed[-1])):
            self._agreed[-1] = tokens[known - 1]
        shown = self._agreed + tokens[known:]
        agreed = _common(shown, self._last)
        if agreed > len(self._agreed):
            self._agreed = shown[:agreed]
        self._last = shown
        whole = "".join(shown).rstrip()
        return whole, len(_stem("".join(self._agreed)))

    def _agreed_length_in(self, tokens: list[str]) -> int:
        """How many of the new tokens stand for what was agreed, even if some of it now reads otherwise."""
        known, new = [plain(t) for t in self._agreed], [plain(t) for t in tokens]
        if new[: len(known)] == known:
            return len(known)
        blocks = SequenceMatcher(None, known, new, autojunk=False).get_matching_blocks()
        last = max((block for block in blocks if block.size), key=lambda block: block.a, default=None)
        if last is None:
            return len(known)
        return last.b + last.size + (len(known) - last.a - last.size)


def _common(first: list[str], second: list[str]) -> int:
    count = 0
    for one, other in zip(first, second, strict=False):
        if plain(one) != plain(other):
            break
        count += 1
    return count


def _stem(text: str) -> str:
    """Without the stop that a model puts after whatever comes last."""
    return text.rstrip().rstrip(STOPS)
