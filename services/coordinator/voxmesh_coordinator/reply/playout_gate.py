"""What a reply has for the client: held until the turn is certain, and again while an interruption is judged."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_coordinator.reply.user_turn import UserTurn

Response = conversation_pb2.ConverseResponse
Make = Callable[[], Response | None]
"""Gives None when there is nothing for the client, only something to be done in its place."""

MAX_HELD_S = 20.0
"""Reply audio that may be held, in seconds; the speech service waits beyond it."""


@dataclass(slots=True)
class Text:
    """A piece of the reply's text; pieces that are held in a row become one."""

    turn: UserTurn
    text: str

    def __call__(self) -> Response:
        """The message."""
        return Response(reply_text=conversation_pb2.ReplyText(turn_index=self.turn.metrics.turn_index, delta=self.text))


class PlayoutGate:
    """Messages of one reply, in order, held at first; each is made when it is sent, since its numbers depend on that.

    Args:
        send: to the client.
        writable: waits while too much is on its way there.
        on_ready: called once, when there is something worth saying: audio, a tool call, or the end.
    """

    def __init__(
        self,
        send: Callable[[Response], None],
        writable: Callable[[], Awaitable[None]],
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._send, self._writable = send, writable
        self._is_closed = False
        self._on_ready = on_ready
        self._held: deque[Make] = deque()
        self._held_s = 0.0
        self._opened = asyncio.Event()
        self.is_ready = False

    @property
    def is_open(self) -> bool:
        """What comes is sent at once."""
        return self._opened.is_set()

    async def put(self, make: Make, audio_s: float = 0.0) -> None:
        """Send or hold a message; waits while too much audio is held, or too much is on its way to the client."""
        if audio_s:
            self.ready()
        if self.is_open:
            await self._writable()
        while not self.is_open and self._held_s >= MAX_HELD_S:
            await self._opened.wait()
        if self.is_open:
            self._make(make)
        elif isinstance(make, Text) and self._held and isinstance(before := self._held[-1], Text):
            # One message instead of one a word.
            before.text += make.text
        else:
            self._held.append(make)
            self._held_s += audio_s

    async def wait_open(self) -> None:
        """Wait until everything up to here may reach the client; for what cannot be taken back."""
        self.ready()
        await self.wait_until_open()

    async def wait_until_open(self) -> None:
        """Wait for the turn to be certain, with nothing to say yet."""
        while not self.is_open:
            await self._opened.wait()

    def open(self) -> None:
        """Send what is held, and from now on everything at once."""
        while self._held:
            self._make(self._held.popleft())
        self._held_s = 0.0
        self._opened.set()

    def _make(self, make: Make) -> None:
        if not self._is_closed and (response := make()) is not None:
            self._send(response)

    def hold(self) -> None:
        """Send nothing more until `open`."""
        self._opened.clear()

    def close(self) -> None:
        """Send nothing any more, whatever still comes."""
        self._is_closed = True

    def ready(self) -> None:
        """There is something worth saying."""
        if not self.is_ready:
            self.is_ready = True
            self._on_ready()
