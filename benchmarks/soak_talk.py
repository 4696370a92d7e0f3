"""A conversation in which turns are typed or spoken one after another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from benchmarks.speech import PATIENCE_S, Question, Speaker
from voxmesh_client import Conversation, Mesh
from voxmesh_client.asking import spoken_config
from voxmesh_client.turns import TurnLog

_TYPED = (
    "What is the capital of France?",
    "Name a colour of the rainbow.",
    "How many days has a week?",
    "Say good morning.",
    "What do bees make?",
)
_HEARD_S = 3600.0
"""A position after the end of any reply: all of it was heard."""


class Talk:
    """One session's turns."""

    def __init__(self, conversation: Conversation, question: Question) -> None:
        self._conversation = conversation
        self._question = question
        self._log = TurnLog()
        self._answered = asyncio.Event()
        self._count = 0

    async def read(self) -> None:
        """Take events until the conversation ends."""
        async for event in self._conversation:
            self._log.take(event)
            if self._log.is_answered and len(self._log.turns) > self._count:
                self._answered.set()

    async def turn(self, *, spoken: bool) -> bool:
        """Hold one turn to its end; true when it was answered with text and audio."""
        self._count = len(self._log.turns)
        self._answered.clear()
        if spoken:
            await Speaker(self._question).speak(self._conversation.send_audio, self._answered)
        else:
            await self._conversation.send_text(_TYPED[self._count % len(_TYPED)])
            async with asyncio.timeout(PATIENCE_S):
                await self._answered.wait()
        turn = self._log.turns[-1]
        await self._conversation.played(turn.index, _HEARD_S)
        answered = bool(turn.failure is None and turn.reply and any(turn.audio))
        turn.audio.clear()
        return answered


@asynccontextmanager
async def talk(mesh: Mesh, question: Question) -> AsyncGenerator[Talk]:
    """A session for the time of a block."""
    async with mesh.conversation(spoken_config(question.sample_rate_hertz)) as conversation:
        session = Talk(conversation, question)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(session.read())
            yield session
            await conversation.finish()
