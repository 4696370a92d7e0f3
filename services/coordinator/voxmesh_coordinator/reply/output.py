"""What a reply says, on its way to the client: text as it is written, and audio as a voice speaks it meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import asynccontextmanager

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.durability.state import last_clause
from voxmesh_coordinator.reply.parts import ReplyParts
from voxmesh_coordinator.reply.playout_gate import PlayoutGate, Text
from voxmesh_coordinator.reply.playout_tracker import PlayoutTracker
from voxmesh_coordinator.reply.upstreams import Served, SpeechEvent, Spoken, SpokenAudio, Voice
from voxmesh_coordinator.reply.user_turn import UserTurn
from voxmesh_routing.call_timing import UpstreamCallTiming
from voxmesh_routing.failures import ServiceFailed
from voxmesh_routing.replays.synthesis import Begun
from voxmesh_runtime.clock import duration

Response = conversation_pb2.ConverseResponse
Record = session_pb2.Record


class ReplyOutput:
    """The words of one reply and their audio.

    Args:
        turn: what is answered.
        parts: of the session.
        gate: where all of it goes.
        saved: what another coordinator said of it; empty for a reply that begins.
    """

    def __init__(self, turn: UserTurn, parts: ReplyParts, gate: PlayoutGate, saved: session_pb2.Reply) -> None:
        self.turn, self.parts, self.gate = turn, parts, gate
        self.playout = PlayoutTracker(turn.metrics.clock)
        self.playout.take_up(saved)
        self.hops: list[UpstreamCallTiming] = []
        self._saved = saved
        self._made_s = max(self.playout.sent_s, saved.received_s)
        """Audio that was made of it."""
        self._voice: Voice | None = None
        """Speaks what is said; None while it is only read."""
        self._saying = asyncio.Lock()
        self._tts_hop: UpstreamCallTiming | None = None

    @asynccontextmanager
    async def speaking(self) -> AsyncGenerator[None]:
        """What is said in here is spoken where a voice is there; all of it is when the block is left.

        Raises:
            ServiceFailed: in a group, when the voice refused or broke.
        """
        voice, saved = self.parts.voice, self._saved
        if voice is None or saved.is_spoken or not await voice.is_there():
            if not saved.is_spoken:
                await self._read_on()
            yield
            return
        try:
            async with (
                voice.speak(self.turn.metrics.trace_context, self._begun()) as speech,
                asyncio.TaskGroup() as tasks,
            ):
                self._voice = voice
                filling, playing = tasks.create_task(self._fill()), tasks.create_task(self._play(speech))
                yield
                filling.cancel()
                voice.end()
                if not self.playout.text:
                    playing.cancel()
        finally:
            self._voice = None

    async def say(self, text: str) -> None:
        """Say the next words."""
        async with self._saying:
            self.playout.text += text
            await self.gate.put(Text(self.turn, text))
            if self._voice is not None:
                self._voice.say(text)

    async def note(self, record: Record) -> None:
        """Keep something in its place among what is said."""

        def note() -> None:
            self.parts.note(record)

        await self.gate.put(note)

    def hop(self, service: str, host: str) -> UpstreamCallTiming:
        """The time of a call that begins now."""
        hop = self.turn.metrics.hop(service, host)
        self.hops.append(hop)
        return hop

    def _begun(self) -> Begun | None:
        """What another coordinator said of it, for the voice to go on from."""
        if not self._saved.text:
            return None
        clause = last_clause(self._saved)
        start, offset_s = (clause.text_start, clause.offset_s) if clause is not None else (0, 0.0)
        return Begun(self._saved.text, start, offset_s, known_s=self.playout.sent_s, got_s=self._made_s)

    async def _fill(self) -> None:
        """Say the filler if the person waits too long for the first word."""
        if self.parts.filler_after_s is None:
            return
        await self.gate.wait_until_open()
        await asyncio.sleep(self.parts.filler_after_s)
        if not self.playout.text:
            await self.say(f"{self.parts.filler} ")

    async def _play(self, speech: AsyncIterable[SpeechEvent]) -> None:
        """Pass the audio on; where no voice is left, the words that none got to are read."""
        try:
            async for event in speech:
                await self._take_speech(event)
                if isinstance(event, Spoken):
                    return
        except ServiceFailed as failure:
            if not failure.is_worth_another_try:
                raise
            await self._read_on()

    async def _take_speech(self, event: SpeechEvent) -> None:
        match event:
            case Served(by, sent_ns):
                self._tts_hop = self.hop(f"tts/{by.engine}", by.host)
                self._tts_hop.sent_ns = sent_ns
            case SpokenAudio(piece, data):
                if self._tts_hop is not None:
                    self._tts_hop.output()
                self._made_s = piece.offset_s + piece.duration_s
                await self.gate.put(lambda: self._audio(piece, data), piece.duration_s)
            case session_pb2.SpokenWord():
                self.playout.timed(event.text, event.start_s)
                await self.note(Record(words=[event]))
            case Spoken(timing):
                if self._tts_hop is not None:
                    self._tts_hop.finish(timing)
                await self._put_end()

    def _audio(self, piece: session_pb2.SpokenPiece, data: bytes) -> Response:
        metrics = self.turn.metrics
        self.playout.sent(piece)
        piece.sent_time_ns = metrics.clock.wall_ns()
        self.parts.note(Record(piece=piece))
        metrics.audio_sent()
        self.parts.sent_audio.add(metrics.turn_index, piece.offset_s, data)
        return self._message(piece.offset_s, data)

    async def _read_on(self) -> None:
        """No voice speaks it, or not the rest."""
        self.playout.is_shown = True
        if self._made_s:
            await self._put_end()

    async def _put_end(self) -> None:
        end_s = self._made_s
        await self.gate.put(lambda: self._message(end_s, is_last=True))

    def _message(self, offset_s: float, data: bytes = b"", *, is_last: bool = False) -> Response:
        """Audio as it is sent; all replies of a session share one sequence."""
        audio = conversation_pb2.ReplyAudio(
            sequence=self.parts.state.proto.next_reply_sequence,
            turn_index=self.turn.metrics.turn_index,
            offset=duration(offset_s),
            data=data,
            is_last=is_last,
        )
        return Response(reply_audio=audio)
