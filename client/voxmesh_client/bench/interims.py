"""How steady interim transcripts are: words that were shown and changed, and promises that were broken."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Self


@dataclass(frozen=True, slots=True)
class Shown:
    """One result as a reader sees it; fields as in `RecognitionResult`."""

    at_s: float
    """When it came, from the beginning of the audio."""
    utterance_index: int
    transcript: str
    is_final: bool
    stable_character_count: int = 0


@dataclass(frozen=True, slots=True)
class Stability:
    """Counts over interim results."""

    words_shown: int = 0
    """Each word counts once for as long as it stands at its place."""
    words_changed: int = 0
    """Those that a later result replaced, moved or removed; case and punctuation do not count."""
    promises: int = 0
    """Interim results with a `stable_character_count`."""
    promises_broken: int = 0
    """Those that a later interim result did not keep; the contract allows none."""
    finals_unlike_promise: int = 0
    """Promises that the final result did not keep, which the contract allows."""

    @property
    def changed_share(self) -> float | None:
        """Share of interim words that changed; None without interim words."""
        return self.words_changed / self.words_shown if self.words_shown else None

    @property
    def broken_share(self) -> float | None:
        """Share of promises that were broken; None when none was made."""
        return self.promises_broken / self.promises if self.promises else None

    def __add__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))


def stability(results: Sequence[Shown]) -> Stability:
    """The counts for one stream's results in their order."""
    utterances: dict[int, list[Shown]] = {}
    for result in results:
        utterances.setdefault(result.utterance_index, []).append(result)
    return sum((_of_utterance(each) for each in utterances.values()), Stability())


def _of_utterance(results: Sequence[Shown]) -> Stability:
    shown = changed = 0
    previous: list[str] = []
    for result in results:
        words = _words(result.transcript)
        kept = _common(previous, words)
        changed += len(previous) - kept
        if result.is_final:
            break
        shown += len(words) - kept
        previous = words
    return Stability(shown, changed) + _promises(results)


def _promises(results: Sequence[Shown]) -> Stability:
    made = broken = unlike = 0
    for index, promise in enumerate(results):
        if promise.stable_character_count and not promise.is_final:
            made += 1
            broken += _breaks(promise, (later for later in results[index:] if not later.is_final))
            unlike += _breaks(promise, (later for later in results[index:] if later.is_final))
    return Stability(promises=made, promises_broken=broken, finals_unlike_promise=unlike)


def _breaks(promise: Shown, later: Iterable[Shown]) -> bool:
    """True when one of the results does not begin with the promised characters."""
    stable = promise.transcript[: promise.stable_character_count]
    is_whole = len(stable) == promise.stable_character_count
    return not is_whole or any(not each.transcript.startswith(stable) for each in later)


def _words(text: str) -> list[str]:
    plain = ("".join(filter(str.isalnum, word.casefold())) for word in text.split())
    return [word for word in plain if word]


def _common(first: Sequence[str], second: Sequence[str]) -> int:
    """How many words from the start are the same."""
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count
