"""One reply: the language model writes, speech follows while it writes, both flow to the client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.durability.history import History
from voxmesh_coordinator.durability.state import last_clause, written_characters
from voxmesh_coordinator.registry import BackendRegistry
from voxmesh_coordinator.reply.ending import End, failure_end
from voxmesh_coordinator.reply.generation import Answering
from voxmesh_coordinator.reply.parts import ReplyParts
from voxmesh_coordinator.reply.playout_gate import PlayoutGate, Text
from voxmesh_coordinator.reply.playout_tracker import PlayoutTracker
from voxmesh_coordinator.reply.upstreams import Served, SpeechEvent, Spoken, SpokenAudio, TimedWord, Utterance
from voxmesh_coordinator.reply.user_turn import UserTurn
from voxmesh_coordinator.reply.vision import look
from voxmesh_routing.call_timing import UpstreamCallTiming
from voxmesh_routing.failures import ServiceFailed
from voxmesh_routing.replays.synthesis import Begun

Response = conversation_pb2.ConverseResponse
Record = session_pb2.Record


class ReplyPipeline:
    """The reply to one turn; cancelling `run` cancels the language model and speech at once.

    Args:
        turn: what is answered.
        history: what was said before it.
        parts: of the session.
        gate: where the reply goes.
        saved: what another coordinator did of it; empty for a reply that begins.
        on_failed: called when it is known that a service failed it.
    """

    def __init__(
        self,
        turn: UserTurn,
        history: History,
        parts: ReplyParts,
        gate: PlayoutGate,
        saved: session_pb2.Reply | None = None,
        *,
        on_failed: Callable[[], None] = lambda: None,
    ) -> None:
        self.turn = turn
        self._on_failed = on_failed
        self.playout = PlayoutTracker(turn.metrics.clock)
        self.gate = gate
        self.hops: list[UpstreamCallTiming] = []
        self._parts = parts
        self._tts_hop: UpstreamCallTiming | None = None
        self._saying = asyncio.Lock()
        self._saved = saved = saved or session_pb2.Reply()
        self.end = End()
        """How it ends, as far as that is known."""
        self.end.CopyFrom(saved.end)
        self._written = written_characters(saved)
        """Characters that the language model wrote, once it is done; what follows is the operator's line."""
        self.playout.take_up(saved)
        self._spoken_s = max(self.playout.sent_s, saved.received_s)
        """Audio that was made of it."""
        self._utterance: Utterance | None = None
        self._playing: asyncio.Task[None] | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._answering = Answering(
            turn,
            history,
            parts,
            saved,
            gate=gate,
            playout=self.playout,
            say=self._say,
            note=self._note,
            new_hop=self._hop,
        )

    @property
    def has_failed(self) -> bool:
        """A service failed it."""
        return self.end.HasField("failed")

    async def run(self, services: BackendRegistry) -> None:
        """Reply to the end; a failing language model is told by `end`.

        Raises:
            ServiceFailed: in a group, when the voice refused or broke.
        """
        voice = self._parts.voice
        if voice is None or self._saved.is_spoken or not await voice.is_there():
            self.playout.is_shown = not self._saved.is_spoken
            if self._spoken_s and not self._saved.is_spoken:
                await self._put_end()
            await self._write(services)
        else:
            begun = self._begun()
            async with voice.speak(self.turn.trace_context, begun) as utterance, asyncio.TaskGroup() as tasks:
                self._utterance, self._tasks = utterance, tasks
                filling = tasks.create_task(self._fill())
                if begun is not None:
                    self._begin_to_play()
                await self._write(services)
                filling.cancel()
                utterance.end()
        await self.gate.wait_open()

    async def failed(self, failure: ServiceFailed) -> None:
        """The voice cannot go on: what is left to say is said in text."""
        self._utterance = self._tasks = None
        await self._finish_text(failure_end(failure))
        await self.gate.wait_open()

    async def _write(self, services: BackendRegistry) -> None:
        if self._written is None:
            await self._finish_text(await self._answer(services))
        else:
            await self._say_line()

    async def _answer(self, services: BackendRegistry) -> End:
        """Have the answer written; gives how it ends."""
        end = End()
        try:
            if self.turn.images and not self.turn.seen:
                question, parent = self.turn.words, self.turn.trace_context
                self.turn.seen = await look(services, self.turn.images, question, self._hop, parent)
                await self._note(Record(seen=self.turn.seen))
            end.reason = await self._answering.write(end)
        except ServiceFailed as failure:
            end = failure_end(failure, is_refused=end.is_refused)
        return end

    async def _finish_text(self, end: End) -> None:
        """The language model writes no more; the operator's line for such an end is said, once."""
        self.end = end
        if self.has_failed:
            self._on_failed()
        if self._written is None:
            self._written = len(self.playout.text)
        await self._note(Record(text_characters=self._written, end=end))
        await self._say_line()

    async def _say_line(self) -> None:
        line, text = self._parts.line(self.end.reason), self.playout.text
        if line and len(text) == self._written:
            await self._say(f" {line}" if text[-1:].strip() else line)

    async def _note(self, record: Record) -> None:
        """Keep something in its place among what is said."""

        def note() -> None:
            self._parts.note(record)

        await self.gate.put(note)

    def _begun(self) -> Begun | None:
        """What another coordinator said of it, for the voice to go on from."""
        if not self._saved.text:
            return None
        clause = last_clause(self._saved)
        start, offset_s = (clause.text_start, clause.offset_s) if clause is not None else (0, 0.0)
        return Begun(self._saved.text, start, offset_s, known_s=self.playout.sent_s, got_s=self._spoken_s)

    def _hop(self, service: str, host: str) -> UpstreamCallTiming:
        hop = self.turn.metrics.hop(service, host)
        self.hops.append(hop)
        return hop

    async def _fill(self) -> None:
        """Say the filler if the person waits too long for the first word."""
        if self._parts.filler_after_s is None:
            return
        await self.gate.wait_until_open()
        await asyncio.sleep(self._parts.filler_after_s)
        if not self.playout.text:
            await self._say(f"{self._parts.filler} ")

    async def _say(self, text: str) -> None:
        async with self._saying:
            self.playout.text += text
            await self.gate.put(Text(self.turn, text))
            if self._utterance is not None:
                self._begin_to_play()
                self._utterance.say(text)

    def _begin_to_play(self) -> None:
        if self._playing is None and self._tasks is not None and self._utterance is not None:
            self._playing = self._tasks.create_task(self._play(self._utterance))

    async def _play(self, utterance: Utterance) -> None:
        """Pass the audio on; where no voice is left, the words that none got to are read."""
        try:
            async for event in utterance:
                await self._take_speech(event)
                if isinstance(event, Spoken):
                    return
        except ServiceFailed as failure:
            if not failure.is_worth_another_try:
                raise
            self.playout.is_shown = True
            if self._spoken_s:
                await self._put_end()

    async def _take_speech(self, event: SpeechEvent) -> None:
        match event:
            case Served(by, sent_ns):
                self._tts_hop = self._hop(f"tts/{by.engine}", by.host)
                self._tts_hop.sent_ns = sent_ns
            case SpokenAudio():
                if self._tts_hop is not None:
                    self._tts_hop.output()
                await self._put_audio(event)
            case TimedWord(text, start_s):
                self.playout.timed(text, start_s)
                await self._note(Record(words=[session_pb2.SpokenWord(text=text, start_s=start_s)]))
            case Spoken(timing):
                if self._tts_hop is not None:
                    self._tts_hop.finish(timing)
                await self._put_end()

    async def _put_audio(self, audio: SpokenAudio) -> None:
        piece = audio.piece
        self._spoken_s = piece.offset_s + piece.duration_s

        def message() -> Response:
            self.playout.sent(piece)
            self._parts.note(Record(piece=piece.to_proto(self.turn.metrics.clock.wall_ns())))
            return self._parts.audio.message(self.turn, piece.offset_s, audio.data)

        await self.gate.put(message, piece.duration_s)

    async def _put_end(self) -> None:
        end_s = self._spoken_s
        await self.gate.put(lambda: self._parts.audio.message(self.turn, end_s, b"", is_last=True))
