"""The clocks that a process reads, and wall-clock stamps of one unit of work as the contract's Timing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf import duration_pb2, timestamp_pb2

from voxmesh.common.v1 import common_pb2


@dataclass(frozen=True, slots=True)
class Clock:
    """Where a component reads the time, so that tests can move it."""

    now: Callable[[], float] = time.monotonic
    """Seconds that only grow, from any beginning: for waits and time-outs."""
    wall_ns: Callable[[], int] = time.time_ns
    """Nanoseconds since the epoch: for stamps that other hosts read."""


SYSTEM_CLOCK = Clock()
"""This host's."""


def timestamp(time_ns: int) -> timestamp_pb2.Timestamp:
    """A wall-clock time in nanoseconds since the epoch as a Timestamp."""
    seconds, nanos = divmod(time_ns, 1_000_000_000)
    return timestamp_pb2.Timestamp(seconds=seconds, nanos=nanos)


def duration(seconds: float) -> duration_pb2.Duration:
    """A length of time in seconds as a Duration."""
    whole, nanos = divmod(round(seconds * 1e9), 1_000_000_000)
    if whole < 0 < nanos:
        whole, nanos = whole + 1, nanos - 1_000_000_000
    return duration_pb2.Duration(seconds=whole, nanos=nanos)


def seconds_of(value: duration_pb2.Duration | timestamp_pb2.Timestamp) -> float:
    """A Duration, or a Timestamp since the epoch, in seconds."""
    return value.seconds + value.nanos / 1e9


@dataclass(slots=True)
class WorkClock:
    """Collects the stamps of one unit of work; created when its message arrives."""

    received_ns: int
    started_ns: int | None = None
    first_output_ns: int | None = None
    compute_s: float = 0.0
    queued_s: float = 0.0
    batch_size: int = 1

    @classmethod
    def start(cls) -> WorkClock:
        """A clock for a message that arrives now."""
        return cls(time.time_ns())

    def worked(self, started_ns: int, compute_s: float, queued_s: float, batch_size: int = 1) -> None:
        """Add one step of the engine."""
        if self.started_ns is None:
            self.started_ns = started_ns
        self.compute_s += compute_s
        self.queued_s += queued_s
        self.batch_size = max(self.batch_size, batch_size)

    def output(self) -> None:
        """An output leaves now; only the first is kept."""
        if self.first_output_ns is None:
            self.first_output_ns = time.time_ns()

    def to_proto(self, *, is_output: bool = False) -> common_pb2.Timing:
        """The Timing of work that finishes now.

        Args:
            is_output: the message that carries it is an output itself, the first one where none was before.
        """
        now = time.time_ns()
        if is_output and self.first_output_ns is None:
            self.first_output_ns = now
        return common_pb2.Timing(
            received_time=timestamp(self.received_ns),
            started_time=timestamp(self.started_ns if self.started_ns is not None else now),
            first_output_time=None if self.first_output_ns is None else timestamp(self.first_output_ns),
            finished_time=timestamp(now),
            compute_duration=duration(self.compute_s),
            queue_duration=duration(self.queued_s),
            batch_size=self.batch_size,
        )
