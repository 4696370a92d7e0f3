"""What a stream has sent and the engine has not yet taken, bounded in seconds of audio."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from voxmesh.common.v1 import common_pb2
from voxmesh_runtime.audio import Samples
from voxmesh_runtime.clock import WorkClock

MAX_ENTRIES = 4096
"""Most messages that wait, however short they are."""


@dataclass(frozen=True, slots=True)
class Finalize:
    """The utterance ends here."""

    clock: WorkClock = field(default_factory=WorkClock.start)
    trace_context: common_pb2.TraceContext | None = None


@dataclass(frozen=True, slots=True)
class Discard:
    """The utterance is dropped."""


@dataclass(frozen=True, slots=True)
class Portion:
    """All audio up to the next command, and that command; None while the utterance goes on."""

    samples: Samples
    command: Finalize | Discard | None
    received_ns: int
    """When the last of it arrived, in nanoseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class _Audio:
    samples: Samples
    received_ns: int = field(default_factory=time.time_ns)


class Inbox:
    """A queue of audio and commands; putting waits while it is full.

    Args:
        step_samples: least audio that `take` gives without a command.
        max_samples: audio that makes it full, as `MAX_ENTRIES` messages do.
    """

    def __init__(self, step_samples: int, max_samples: int) -> None:
        self._step_samples = step_samples
        self._max_samples = max_samples
        self._entries: deque[_Audio | Finalize | Discard] = deque()
        self._commands = 0
        self._samples = 0
        self._closed = False
        self._changed = asyncio.Condition()

    async def put_audio(self, samples: Samples) -> None:
        """Append audio."""
        if not len(samples):
            return
        async with self._changed:
            await self._changed.wait_for(lambda: not self._is_full())
            self._entries.append(_Audio(samples))
            self._samples += len(samples)
            self._changed.notify_all()

    async def put(self, command: Finalize | Discard) -> None:
        """Append a command."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._is_full())
            self._entries.append(command)
            self._commands += 1
            self._changed.notify_all()

    async def close(self) -> None:
        """Say that nothing follows; what waits is still taken."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    async def take(self) -> Portion | None:
        """The next portion, once it is worth a step; None at the end."""
        async with self._changed:
            await self._changed.wait_for(self._is_worth_a_step)
            portion = self._portion()
            self._changed.notify_all()
            return portion

    def _is_worth_a_step(self) -> bool:
        enough = self._samples >= self._step_samples or self._is_full()
        return bool(self._commands) or self._closed or enough

    def _is_full(self) -> bool:
        return self._samples >= self._max_samples or len(self._entries) >= MAX_ENTRIES

    def _portion(self) -> Portion | None:
        if not self._entries:
            return None
        audio: list[Samples] = []
        command: Finalize | Discard | None = None
        received_ns = 0
        while self._entries and command is None:
            entry = self._entries.popleft()
            if isinstance(entry, _Audio):
                audio.append(entry.samples)
                received_ns = entry.received_ns
            else:
                command = entry
                self._commands -= 1
        samples = np.concatenate(audio) if audio else np.zeros(0, np.float32)
        self._samples -= len(samples)
        return Portion(samples, command, received_ns or time.time_ns())
