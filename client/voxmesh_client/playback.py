"""Tells the coordinator how much of a reply was heard, whoever plays it."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from voxmesh_client.conversation import Conversation

_TELL_EVERY_S = 0.1


class Player(Protocol):
    """Plays one reply at a time."""

    def begin(self) -> None:
        """A new reply starts."""
        ...

    def play(self, data: bytes) -> None:
        """Queue PCM_S16LE."""
        ...

    def drop(self) -> None:
        """Forget what is queued."""
        ...

    def set_gain(self, gain: float) -> None:
        """Volume in [0, 1]."""
        ...

    @property
    def played_s(self) -> float:
        """Seconds of the current reply that were played."""
        ...


class SilentPlayer:
    """Takes the time that playing would take."""

    def __init__(self, sample_rate_hertz: int) -> None:
        self._bytes_per_s = 2 * sample_rate_hertz
        self.begin()

    def begin(self) -> None:
        """A new reply starts."""
        self._queued_s = 0.0
        self._started: float | None = None

    def play(self, data: bytes) -> None:
        """Queue PCM_S16LE."""
        if self._started is None:
            self._started = time.monotonic()
        self._queued_s += len(data) / self._bytes_per_s

    def drop(self) -> None:
        """Forget what is queued."""
        self._queued_s = self.played_s

    def set_gain(self, gain: float) -> None:
        """Nothing is heard anyway."""

    @property
    def played_s(self) -> float:
        """Seconds of the current reply that would have been played."""
        return 0.0 if self._started is None else min(self._queued_s, time.monotonic() - self._started)


class Playback:
    """Gives replies to a player, each from its start, and tells how far it got."""

    def __init__(self, player: Player) -> None:
        self._player = player
        self._turn_index: int | None = None

    def take(self, turn_index: int, data: bytes) -> None:
        """The next piece of a turn's reply."""
        if turn_index != self._turn_index:
            self._turn_index = turn_index
            self._player.begin()
        self._player.play(data)

    def interrupt(self) -> None:
        """Nothing of the reply is to be heard any more."""
        self._player.drop()
        self._player.set_gain(1.0)

    def duck(self, gain: float) -> None:
        """Lower the volume to `gain` in [0, 1], or restore it with 1."""
        self._player.set_gain(gain)

    async def tell(self, conversation: Conversation) -> None:
        """Send the position while it moves, until cancelled."""
        told: tuple[int, float] | None = None
        while True:
            await asyncio.sleep(_TELL_EVERY_S)
            if self._turn_index is not None and told != (now := (self._turn_index, self._player.played_s)):
                await conversation.played(*now)
                told = now
