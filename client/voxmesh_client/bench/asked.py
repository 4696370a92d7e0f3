"""What a person asked of `voxmesh bench`, as the command line gave it."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class Pace(enum.Enum):
    """How audio is sent."""

    BOTH = "both"
    FAST = "fast"
    REAL_TIME = "real-time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the benchmarks of all slots share."""

    engines: Sequence[str]
    targets: Sequence[str]
    pythons: Sequence[str]
    load_timeout_s: float
    out: Path | None
    json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SttAsked(Asked):
    """`voxmesh bench stt`."""

    corpus: Path
    send_language: bool
    streams: str
    pace: Pace
    language: str
    limit: int | None
    chunk_s: float
    baseline: str | None
    gates: str | None
    soak_minutes: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BiasingAsked(Asked):
    """`voxmesh bench biasing`."""

    cases: str
    send_language: bool
    expect: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparingAsked(Asked):
    """Benchmarks of several targets beside one another, at several numbers of streams."""

    streams: str
    baseline: str | None
    gates: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TtsAsked(ComparingAsked):
    """`voxmesh bench tts`."""

    texts: str
    voices: Sequence[str]
    rate: float | None
    limit: int | None
    recognizer: str
    keep: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedAsked(ComparingAsked):
    """`voxmesh bench embed`."""

    pairs: str
    batch: str
    rounds: int
    least_texts: int
    direct: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmAsked(ComparingAsked):
    """`voxmesh bench llm`."""

    tasks: str
    upstreams: Sequence[str]
    models: Sequence[str]
    rounds: int
    max_tokens: int
    thinking: str
    thoughts: int
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VlmAsked(Asked):
    """`voxmesh bench vlm`."""

    cases: str
    repeat: int
    baseline: str | None
    gates: str | None
