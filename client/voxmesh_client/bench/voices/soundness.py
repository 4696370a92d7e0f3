"""What can be wrong with synthesised audio, told from its samples alone."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voxmesh_runtime.audio import Samples

WINDOW_S = 0.02
"""Levels are root mean squares over this long."""
FULL_SCALE = 0.999
CLIPPED_SHARE = 0.001
"""More samples than this share at full scale is clipped: speech at full level touches it a few times."""
SILENT_DB = -50.0
"""Nothing louder than this, below full scale, is silence."""
QUIET_DB = -40.0
"""A window this far below the loudest one is quiet, as the pause between two clauses is."""
LONG_QUIET_S = 2.0
"""Longer silence within an utterance is a gap."""
ABRUPT_DB = -20.0
"""Speech that ends with a window louder than this, against the median of its loud ones, was cut off: of speech of two
voices cut at random five sixths are told so, of the whole of it nothing."""
OVERHEAD_S = 2.0
"""Beside its letters a text may take this long: short words are slow, and audio begins and ends with silence."""
MISSING_S = 0.05
"""Audio may be this much shorter than the service says."""


class Fault(enum.Enum):
    """What is wrong."""

    CLIPPED = "clipped"
    SILENT = "silent"
    GAP = "gap"
    TRUNCATED = "truncated"
    TOO_LONG = "too long"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault and the figure that shows it."""

    fault: Fault
    reason: str


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known of audio before it is looked at."""

    letters: int
    """Letters that are spoken in it."""
    seconds_per_letter: tuple[float, float]
    told_s: float | None = None
    """Its length as the service tells it."""


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """Audio as levels of windows of 20 ms."""

    duration_s: float
    levels_db: npt.NDArray[np.float64]
    """Below full scale; -120 is nothing at all."""
    full_scale_share: float
    """Share of samples at full scale."""

    @classmethod
    def of(cls, samples: Samples, rate_hertz: int) -> Sound:
        """Look at mono samples in [-1, 1]."""
        size = max(1, round(WINDOW_S * rate_hertz))
        whole = samples[: len(samples) // size * size].reshape(-1, size).astype(np.float64)
        levels = 20 * np.log10(np.maximum(np.sqrt(np.mean(whole**2, axis=1)), 1e-6))
        share = float(np.mean(np.abs(samples) >= FULL_SCALE)) if len(samples) else 0.0
        return cls(len(samples) / rate_hertz, levels, share)

    @property
    def is_silent(self) -> bool:
        """True when no window is loud enough to be heard."""
        return not len(self.levels_db) or float(self.levels_db.max()) < SILENT_DB

    @property
    def loud(self) -> npt.NDArray[np.intp]:
        """Places of the windows that are not quiet; none of silence."""
        if self.is_silent:
            return np.empty(0, np.intp)
        return np.flatnonzero(self.levels_db > self.levels_db.max() + QUIET_DB)

    @property
    def lead_s(self) -> float:
        """Silence before the first sound; all of it in silence."""
        loud = self.loud
        return float(loud[0]) * WINDOW_S if len(loud) else self.duration_s

    @property
    def longest_quiet_s(self) -> float:
        """The longest silence between two sounds."""
        loud = self.loud
        return float(np.diff(loud).max() - 1) * WINDOW_S if len(loud) > 1 else 0.0

    @property
    def end_db(self) -> float:
        """Level of the last window against the median of those that are not quiet; -120 in silence."""
        loud = self.loud
        return float(self.levels_db[-1] - np.median(self.levels_db[loud])) if len(loud) else -120.0


def faults_of(sound: Sound, expected: Expected) -> list[Finding]:
    """Everything that is wrong; nothing else is looked for in silence."""
    if sound.is_silent:
        return [Finding(Fault.SILENT, f"nothing above {SILENT_DB:.0f} dB in {sound.duration_s:.2f} s")]
    return [*_level(sound), *_length(sound, expected), *_end(sound, expected)]


def _level(sound: Sound) -> Iterator[Finding]:
    if sound.full_scale_share > CLIPPED_SHARE:
        yield Finding(Fault.CLIPPED, f"{sound.full_scale_share:.2%} of the samples at full scale")
    if sound.longest_quiet_s > LONG_QUIET_S:
        yield Finding(Fault.GAP, f"{sound.longest_quiet_s:.1f} s of silence within")


def _length(sound: Sound, expected: Expected) -> Iterator[Finding]:
    least, most = (expected.letters * seconds for seconds in expected.seconds_per_letter)
    told = f"{sound.duration_s:.2f} s for {expected.letters} letters"
    if sound.duration_s < least:
        yield Finding(Fault.TRUNCATED, f"{told}, at least {least:.2f} s expected")
    if sound.duration_s > most + OVERHEAD_S:
        yield Finding(Fault.TOO_LONG, f"{told}, at most {most + OVERHEAD_S:.2f} s expected")


def _end(sound: Sound, expected: Expected) -> Iterator[Finding]:
    if sound.end_db > ABRUPT_DB:
        yield Finding(Fault.TRUNCATED, f"ends in full voice, at {sound.end_db:.0f} dB of its usual level")
    if expected.told_s is not None and sound.duration_s < expected.told_s - MISSING_S:
        yield Finding(Fault.TRUNCATED, f"{sound.duration_s:.2f} s came of {expected.told_s:.2f} s that were told")
