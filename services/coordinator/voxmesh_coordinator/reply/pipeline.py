"""One reply: the language model writes, speech follows while it writes, both flow to the client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh.tts.v1 import tts_pb2
from voxmesh_coordinator.durability.history import History
from voxmesh_coordinator.durability.reply_checkpoint import ReplyCheckpoint
from voxmesh_coordinator.registry import BackendRegistry
from voxmesh_coordinator.reply.ending import End, failure_end
from voxmesh_coordinator.reply.generation import MAX_TRIES, Answering
from voxmesh_coordinator.reply.parts import ReplyParts
from voxmesh_coordinator.reply.playout_gate import PlayoutGate, Text
from voxmesh_coordinator.reply.playout_tracker import PlayoutTracker, SpokenPiece
from voxmesh_coordinator.reply.speech import Segment
from voxmesh_coordinator.reply.user_turn import UserTurn
from voxmesh_coordinator.reply.vision import look
from voxmesh_routing.call_timing import UpstreamCallTiming
from voxmesh_routing.failures import ServiceFailed
from voxmesh_runtime.clock import seconds_of

Response = conversation_pb2.ConverseResponse
Record = session_pb2.Record

CHARACTERS_PER_S = 14.0
"""Text spoken in a second, where nothing better is known."""


class SynthesisProgress:
    """How far the speech service has come with a reply's text."""

    def __init__(self) -> None:
        self.end_s = 0.0
        self._clause: SpokenPiece | None = None

    def add(self, piece: SpokenPiece) -> None:
        """It made a piece of audio."""
        self.end_s = piece.offset_s + piece.duration_s
        if self._clause is None or self._clause.text_start != piece.text_start:
            self._clause = piece

    def characters(self, text: str) -> int:
        """Characters of the text that are spoken, about: of the clause in progress by how fast people speak."""
        clause = self._clause
        if clause is None:
            return 0
        spoken = clause.text_start + round((self.end_s - clause.offset_s) * CHARACTERS_PER_S)
        if spoken >= clause.text_end:
            return clause.text_end
        return max(clause.text_start, text.rfind(" ", 0, spoken + 1) + 1)


class ReplyPipeline:
    """The reply to one turn; cancelling `run` cancels the language model and speech at once.

    Args:
        turn: what is answered.
        history: what was said before it.
        parts: of the session.
        gate: where the reply goes.
        checkpoint: what another coordinator did of it.
        on_failed: called when it is known that a service failed it.
    """

    def __init__(
        self,
        turn: UserTurn,
        history: History,
        parts: ReplyParts,
        gate: PlayoutGate,
        checkpoint: ReplyCheckpoint | None = None,
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
        self._made = SynthesisProgress()
        self._saying = asyncio.Lock()
        self._checkpoint = checkpoint = checkpoint or ReplyCheckpoint()
        self.end = checkpoint.end
        """How it ends, as far as that is known."""
        self._written = checkpoint.text_characters
        """Characters that the language model wrote, once it is done; what follows is the operator's line."""
        checkpoint.fill(self.playout)
        for piece in checkpoint.pieces:
            self._made.add(piece)
        self._got_s = self._made.end_s
        self._segment: Segment | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._answering = Answering(
            turn,
            history,
            parts,
            checkpoint,
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
        speech = self._parts.speech
        if speech is None or self._checkpoint.is_spoken or not await speech.is_there():
            self.playout.is_shown = not self._checkpoint.is_spoken
            if self._checkpoint.pieces and not self._checkpoint.is_spoken:
                await self._put_end()
            await self._write(services)
        else:
            async with speech.segment(self.turn.trace_context) as segment, asyncio.TaskGroup() as tasks:
                self._segment, self._tasks = segment, tasks
                filling = tasks.create_task(self._fill())
                await self._take_up(segment)
                await self._write(services)
                filling.cancel()
                await segment.end()
        await self.gate.wait_open()

    async def failed(self, failure: ServiceFailed) -> None:
        """The voice cannot go on: what is left to say is said in text."""
        self._segment = self._tasks = None
        await self._finish_text(failure_end(failure))
        await self.gate.wait_open()

    async def _write(self, services: BackendRegistry) -> None:
        if not self._checkpoint.is_written:
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

    async def _take_up(self, segment: Segment) -> None:
        """Speak on from where another coordinator stopped: its last clause anew, without what the client has got."""
        checkpoint = self._checkpoint
        if not checkpoint.text or checkpoint.is_spoken:
            return
        clause = checkpoint.clause
        self._begin_to_play(segment)
        await segment.take_up(checkpoint.text, clause.text_start if clause else 0, clause.offset_s if clause else 0.0)

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
            if self._segment is not None:
                self._begin_to_play(self._segment)
                await self._segment.say(text)

    def _begin_to_play(self, segment: Segment) -> None:
        if self._tts_hop is None and self._tasks is not None:
            self._tts_hop = self._hop(f"tts/{segment.ready.engine}", segment.ready.host)
            self._tasks.create_task(self._play(segment, self._tts_hop))

    async def _play(self, segment: Segment, hop: UpstreamCallTiming) -> None:
        """Pass the audio on; if the service breaks, the words it did not get to are spoken by another, or read."""
        for attempt in range(MAX_TRIES):
            try:
                if attempt:
                    hop = self._hop(hop.service, hop.host)
                    await segment.restart(self._made.characters(self.playout.text), self._made.end_s)
                await self._play_once(segment, hop)
            except ServiceFailed as failure:
                if not failure.is_worth_another_try:
                    raise
            else:
                return
        segment.is_mute = self.playout.is_shown = True
        if self._made.end_s:
            await self._put_end()

    async def _play_once(self, segment: Segment, hop: UpstreamCallTiming) -> None:
        async for answer in segment.answers:
            match answer.WhichOneof("streaming_response"):
                case "audio":
                    hop.output()
                    await self._put_audio(answer.audio, segment)
                case "word_timing":
                    start_s = segment.base_s + seconds_of(answer.word_timing.start_offset)
                    self.playout.timed(answer.word_timing.text, start_s)
                    word = session_pb2.SpokenWord(text=answer.word_timing.text, start_s=start_s)
                    await self._note(Record(words=[word]))
                case "segment_finished":
                    hop.served_by(segment.ready)
                    hop.finish(answer.segment_finished.timing)
                    await self._put_end()
                    return
                case _:
                    pass

    async def _put_audio(self, audio: tts_pb2.SegmentAudio, segment: Segment) -> None:
        voice, begin_s = self._parts.audio, segment.base_s + seconds_of(audio.offset)
        if begin_s < self._got_s and audio.text_start > 0:
            # The clause that was checkpoint by another coordinator is shorter this time: what follows it is not cut.
            segment.base_s += self._made.end_s - begin_s
            begin_s = self._made.end_s
        data = voice.without(audio.data, self._got_s - begin_s)
        if not data:
            return
        piece = SpokenPiece(
            max(begin_s, self._got_s),
            voice.seconds(data),
            segment.base_text + audio.text_start,
            segment.base_text + audio.text_end,
        )
        self._made.add(piece)

        def message() -> Response:
            self.playout.sent(piece)
            self._parts.note(Record(piece=piece.to_proto(self.turn.metrics.clock.wall_ns())))
            return voice.message(self.turn, piece.offset_s, data)

        await self.gate.put(message, piece.duration_s)

    async def _put_end(self) -> None:
        end_s = self._made.end_s
        await self.gate.put(lambda: self._parts.audio.message(self.turn, end_s, b"", is_last=True))
