"""The latency modes of a cache-aware model, and which of them a stream gets."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from voxmesh_runtime.outcomes import Kind, Outcome, approximated

FIELD = "config.max_latency"

_TOLERANCE_S = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class LatencyMode:
    """How far the encoder looks ahead: an attention context that it was trained with."""

    latency_s: float
    context: tuple[int, int]
    """Encoder frames before and after the current one that attention sees."""
    first_frames: int
    """Mel frames of a stream's first chunk."""
    frames: int
    """Mel frames of every later chunk."""
    cached_frames: int
    """Mel frames before a chunk that its subsampling needs again."""
    streaming: Any
    """The encoder's own parameters of this mode."""


def latency_modes(encoder: Any, frame_s: float) -> tuple[LatencyMode, ...]:
    """The modes of a cache-aware encoder, the quickest first."""
    modes = (_mode(encoder, tuple(context), frame_s) for context in encoder.att_context_size_all)
    return tuple(sorted(modes, key=lambda mode: mode.latency_s))


def _mode(encoder: Any, context: tuple[int, int], frame_s: float) -> LatencyMode:
    encoder.set_default_att_context_size(list(context))
    streaming = copy.deepcopy(encoder.streaming_cfg)
    first_frames, frames = streaming.chunk_size
    return LatencyMode(
        latency_s=round((context[1] + 1) * frame_s, 6),
        context=context,
        first_frames=first_frames,
        frames=frames,
        cached_frames=streaming.pre_encode_cache_size[1],
        streaming=streaming,
    )


def choose(modes: Sequence[LatencyMode], wanted_s: float) -> LatencyMode:
    """The largest mode that is not above what is wanted: more context is better text. Else the quickest."""
    allowed = [mode for mode in modes if mode.latency_s <= wanted_s + _TOLERANCE_S]
    return allowed[-1] if allowed else modes[0]


def outcome(mode: LatencyMode, wanted_s: float) -> Outcome:
    """How a stream's wish was taken, with the mode it got."""
    told = f"the stream runs in the mode of {mode.latency_s * 1000:.0f} ms"
    if mode.latency_s <= wanted_s + _TOLERANCE_S:
        return Outcome(FIELD, Kind.APPLIED, told)
    return approximated(FIELD, f"{told}, the model's quickest")
