"""One spoken turn through the mesh, timed at the client."""

from __future__ import annotations

import asyncio
import time

from benchmarks.milestones import Milestones
from benchmarks.speech import Question, Speaker
from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.stt.v1 import stt_pb2
from voxmesh_client import Mesh
from voxmesh_client.asking import spoken_config
from voxmesh_client.events import Event
from voxmesh_client.turns import Turn, TurnLog


class MeshTurn:
    """Asks one question in a conversation of its own."""

    def __init__(self, mesh: Mesh, question: Question) -> None:
        self._mesh = mesh
        self._question = question
        self._speaker = Speaker(question)
        self._log = TurnLog()
        self._stamps: dict[str, int] = {}

    async def run(self) -> Milestones:
        """Ask, and wait until the reply is complete.

        Raises:
            MeshError: the coordinator refuses or fails.
            NotAnswered: nothing came back.
        """
        answered = asyncio.Event()
        config = spoken_config(self._question.sample_rate_hertz)
        # The models in one process do not prepare replies in pauses either.
        config.speculation = False
        async with self._mesh.conversation(config) as conversation:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._speaker.speak(conversation.send_audio, answered))
                async for event in conversation:
                    self._take(event)
                    if self._log.is_answered:
                        break
                answered.set()
            await conversation.finish()
        return self._milestones(self._log.turns[0])

    def _take(self, event: Event) -> None:
        self._log.take(event)
        match event:
            case stt_pb2.RecognitionResult(is_final=True):
                self._stamp("final")
            case conversation_pb2.ReplyText():
                self._stamp("token")
            case conversation_pb2.ReplyAudio() if event.data:
                self._stamp("audio")
            case _:
                pass

    def _stamp(self, name: str) -> None:
        self._stamps.setdefault(name, time.time_ns())

    def _milestones(self, turn: Turn) -> Milestones:
        if turn.report is None:
            raise RuntimeError(f"the turn failed: {turn.failure}")
        began_ns = self._speaker.speech_ended_ns
        # The coordinator's stamp is on this host's clock too.
        ended_ns = turn.report.turn_ended_time.ToNanoseconds()
        return Milestones(
            turn_ended_s=(ended_ns - began_ns) / 1e9,
            final_s=(self._stamps["final"] - began_ns) / 1e9,
            first_token_s=(self._stamps["token"] - began_ns) / 1e9,
            first_audio_s=(self._stamps["audio"] - began_ns) / 1e9,
            text=turn.text,
            reply=turn.reply,
        )
