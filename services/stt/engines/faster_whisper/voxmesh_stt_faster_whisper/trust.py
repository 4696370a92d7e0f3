"""Whether what Whisper wrote can be believed: a decision on the figures of one try, free of model and audio.

    no speech, and unlikely or repeating itself ──► SILENCE    no text
    repeating itself, unlikely, or nothing ───────► DOUBTFUL   try again in another way
    else ─────────────────────────────────────────► TRUSTED

In noise the decoder falls into a loop that it is sure of: the likelihood of such a text says
nothing, while the model still takes the audio for silence. People who repeat themselves are
heard as speech.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

_SURE_SILENCE = ((0.75, -0.8), (0.88, -0.7))
"""Beside the settings: the surer the silence, the likelier a text that is not believed. Of 139 cuts of
speech of 0.4 to 1.2 s, with the quiet that a session leaves around them, none was above 0.63; noise,
hum and music were at 0.72 to 0.97."""
_REPEATED_WORDS = 4
"""As many words said twice are looked at again in the full window."""


class Limits(Protocol):
    """The thresholds that an operator may set."""

    @property
    def compression_ratio_threshold(self) -> float:
        """More repeats itself."""
        ...

    @property
    def log_prob_threshold(self) -> float:
        """Less is unlikely."""
        ...

    @property
    def no_speech_threshold(self) -> float:
        """More is silence if the text says so too."""
        ...


class Verdict(Enum):
    """What becomes of a text."""

    TRUSTED = auto()
    DOUBTFUL = auto()
    SILENCE = auto()


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of a text."""

    segments: Sequence[str]
    """The text between time stamps; empty when there is no word."""
    log_prob: float
    """Mean log probability of a token, 0 at best."""
    no_speech_prob: float
    is_short_window: bool
    """Less than the 30 s that Whisper was made for were encoded."""

    @property
    def compression(self) -> float:
        """Of the segment that repeats itself most: who says the same thing ten times is to be believed."""
        return max(map(_compression, self.segments), default=1.0)


def verdict(figures: Figures, limits: Limits) -> Verdict:
    """What to make of a text."""
    loops_in_silence = _loops_in_silence(figures, limits)
    # A short window makes speech repeat itself too, so that the full one has the say.
    if _is_silence(figures, limits) or (loops_in_silence and not figures.is_short_window):
        return Verdict.SILENCE
    is_trusted = (
        figures.compression <= limits.compression_ratio_threshold
        and figures.log_prob >= limits.log_prob_threshold
        and not loops_in_silence
        and not (figures.is_short_window and (not figures.segments or any(map(_says_twice, figures.segments))))
    )
    return Verdict.TRUSTED if is_trusted else Verdict.DOUBTFUL


def _is_silence(figures: Figures, limits: Limits) -> bool:
    pairs = ((limits.no_speech_threshold, limits.log_prob_threshold), *_SURE_SILENCE)
    return any(figures.no_speech_prob > speech and figures.log_prob < likely for speech, likely in pairs)


def _loops_in_silence(figures: Figures, limits: Limits) -> bool:
    repeats = _compression(" ".join(figures.segments)) > limits.compression_ratio_threshold
    return repeats and figures.no_speech_prob > limits.no_speech_threshold


def _compression(text: str) -> float:
    """How many times smaller the text gets."""
    data = text.encode()
    return len(data) / len(zlib.compress(data))


def _says_twice(text: str) -> bool:
    words = ["".join(filter(str.isalnum, word)).casefold() for word in text.split()]
    runs = [tuple(words[begin : begin + _REPEATED_WORDS]) for begin in range(len(words) - _REPEATED_WORDS + 1)]
    return len(set(runs)) < len(runs)
