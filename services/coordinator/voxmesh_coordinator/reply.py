"""One reply: the language model writes, speech follows while it writes, both flow to the client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.llm.v1 import llm_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh.tts.v1 import tts_pb2
from voxmesh_coordinator.begun import Begun
from voxmesh_coordinator.echo import SentAudio
from voxmesh_coordinator.failures import ServiceFailed
from voxmesh_coordinator.history import History
from voxmesh_coordinator.hop import HopClock
from voxmesh_coordinator.language_model import LanguageModel
from voxmesh_coordinator.ledger import Ledger, SpokenPiece
from voxmesh_coordinator.link import Link
from voxmesh_coordinator.outbox import Outbox, Text
from voxmesh_coordinator.services import Services
from voxmesh_coordinator.speech import Segment, Speech
from voxmesh_coordinator.tools import ToolDesk
from voxmesh_coordinator.user_turn import UserTurn
from voxmesh_coordinator.vision import look
from voxmesh_runtime.audio import AudioFormat
from voxmesh_runtime.clock import duration, seconds_of

Response = conversation_pb2.ConverseResponse
Record = session_pb2.Record
ASSISTANT = llm_pb2.Message.ROLE_ASSISTANT
TOOL_CALLS = llm_pb2.Finished.REASON_TOOL_CALLS

REPLY_FORMAT = AudioFormat(sample_rate_hertz=24_000)
"""Of reply audio where the config names none."""
MAX_TRIES = 3
"""Backends tried for one generation, and for one reply's speech."""
CHARACTERS_PER_S = 14.0
"""Text spoken in a second, where nothing better is known."""
GO_ON = "Go on exactly where you stopped, and repeat nothing."
"""Asked of a language model that is to finish what another began."""


class ReplyAudioStream:
    """Numbers the reply audio of a session; all replies share the one sequence.

    Args:
        audio_format: of the audio.
        next_sequence: number of the next piece.
    """

    def __init__(self, audio_format: AudioFormat, next_sequence: int = 0) -> None:
        self._next_sequence = next_sequence
        self._format = audio_format
        self._bytes_per_s = audio_format.bytes_per_frame * audio_format.sample_rate_hertz
        self.sent = SentAudio(audio_format)

    def seconds(self, data: bytes) -> float:
        """Length of a piece of audio."""
        return len(data) / self._bytes_per_s

    def without(self, data: bytes, seconds: float) -> bytes:
        """A piece of audio without so much of its start."""
        return data[max(0, round(seconds * self._format.sample_rate_hertz)) * self._format.bytes_per_frame :]

    def message(self, turn: UserTurn, offset_s: float, data: bytes, *, is_last: bool = False) -> Response:
        """The next piece of a turn's reply, about to be sent."""
        audio = conversation_pb2.ReplyAudio(
            sequence=self._next_sequence,
            turn_index=turn.clock.turn_index,
            offset=duration(offset_s),
            data=data,
            is_last=is_last,
        )
        self._next_sequence += 1
        if data:
            turn.clock.audio_sent()
            self.sent.add(turn.clock.turn_index, offset_s, data)
        return Response(reply_audio=audio)


@dataclass(frozen=True, slots=True)
class Voices:
    """What a session replies with; `speech` is None where replies are text alone."""

    language_model: LanguageModel
    speech: Speech | None
    audio: ReplyAudioStream
    tools: ToolDesk
    tool_rounds: int
    filler: str = ""
    filler_after_s: float | None = None
    note: Callable[[Record], None] = lambda _: None
    """Keeps what another coordinator needs to go on with a reply; written with the next response."""

    @property
    def links(self) -> list[Link[Any, Any]]:
        """The streams to the services."""
        return [self.language_model.link, *([self.speech.link] if self.speech is not None else [])]


class Made:
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


class Reply:
    """The reply to one turn; cancelling `run` cancels the language model and speech at once.

    Args:
        turn: what is answered.
        history: what was said before it.
        voices: of the session.
        outbox: where the reply goes.
        begun: what another coordinator did of it.
    """

    def __init__(
        self, turn: UserTurn, history: History, voices: Voices, outbox: Outbox, begun: Begun | None = None
    ) -> None:
        self.turn = turn
        self.text_answered = turn.words
        self.ledger = Ledger()
        self.outbox = outbox
        self.hops: list[HopClock] = []
        self._history = history
        self._voices = voices
        self._tts_hop: HopClock | None = None
        self._made = Made()
        self._saying = asyncio.Lock()
        self._begun = begun or Begun()
        self._begun.fill(self.ledger)
        for piece in self._begun.pieces:
            self._made.add(piece)
        self._got_s = self._made.end_s
        for earlier in self._begun.rounds:
            for answer in earlier.answers:
                voices.tools.was_answered(answer.tool_call_id)
        for call in self._begun.pending():
            voices.tools.expect(call)

    async def run(self, services: Services) -> None:
        """Reply to the end.

        Raises:
            ServiceFailed: alone or in a group, when a service refused or broke.
        """
        if self.turn.images and not self.turn.seen:
            question, parent = self.text_answered, self.turn.trace_context
            self.turn.seen = await look(services, self.turn.images, question, self._hop, parent)
            await self._note(Record(seen=self.turn.seen))
        messages = self._history.messages(self.turn.said_as(self.text_answered))
        speech = self._voices.speech
        if speech is None or self._begun.is_spoken or not await speech.is_there():
            self.ledger.is_shown = not self._begun.is_spoken
            if self._begun.pieces and not self._begun.is_spoken:
                await self._put_end()
            await self._write(messages, None, None)
        else:
            async with speech.segment(self.turn.trace_context) as segment, asyncio.TaskGroup() as tasks:
                filling = tasks.create_task(self._fill(segment, tasks))
                await self._take_up(segment, tasks)
                await self._write(messages, segment, tasks)
                filling.cancel()
                await segment.end()
        await self.outbox.wait_open()

    async def _note(self, record: Record) -> None:
        """Keep something in its place among what is said."""

        def note() -> None:
            self._voices.note(record)

        await self.outbox.put(note)

    async def _take_up(self, segment: Segment, tasks: asyncio.TaskGroup) -> None:
        """Speak on from where another coordinator stopped: its last clause anew, without what the client has got."""
        begun = self._begun
        if not begun.text or begun.is_spoken:
            return
        clause = begun.clause
        self._begin_to_play(segment, tasks)
        await segment.take_up(begun.text, clause.text_start if clause else 0, clause.offset_s if clause else 0.0)

    def _hop(self, service: str, host: str) -> HopClock:
        hop = self.turn.clock.hop(service, host)
        self.hops.append(hop)
        return hop

    async def _fill(self, segment: Segment, tasks: asyncio.TaskGroup) -> None:
        """Say the filler if the person waits too long for the first word."""
        if self._voices.filler_after_s is None:
            return
        await self.outbox.wait_until_open()
        await asyncio.sleep(self._voices.filler_after_s)
        if not self.ledger.text:
            await self._say(f"{self._voices.filler} ", segment, tasks)

    async def _write(
        self, messages: list[llm_pb2.Message], segment: Segment | None, tasks: asyncio.TaskGroup | None
    ) -> None:
        begin = self._begun.generated_from
        for earlier in self._begun.rounds:
            messages += [llm_pb2.Message(role=ASSISTANT, tool_calls=earlier.calls), *earlier.answers]
        messages += await self._call(self._begun.pending())
        if self._begun.is_written:
            return
        for _ in range(self._voices.tool_rounds - len(self._begun.rounds)):
            calls = await self._generate(messages, begin, segment, tasks)
            if not calls:
                break
            # A tool may do things in the world: only once the turn is certain.
            await self.outbox.wait_open()
            self._voices.note(Record(tool_calls=calls))
            messages += [llm_pb2.Message(role=ASSISTANT, tool_calls=calls), *await self._call(calls)]
            begin = len(self.ledger.text)
        await self._note(Record(text_characters=len(self.ledger.text)))

    async def _call(self, calls: Sequence[llm_pb2.ToolCall]) -> list[llm_pb2.Message]:
        """The answers of tools that the client runs."""
        for call in calls:
            await self._put(Response(tool_call=self._voices.tools.expect(call)))
        answers: list[llm_pb2.Message] = []
        for call in calls:
            answers.append(await self._voices.tools.answer(call))
            self._voices.note(Record(tool_answers=answers[-1:]))
        return answers

    async def _generate(
        self, messages: list[llm_pb2.Message], begin: int, segment: Segment | None, tasks: asyncio.TaskGroup | None
    ) -> list[llm_pb2.ToolCall]:
        """One generation, whose text begins there, begun again elsewhere if it breaks; gives the tools it wants."""
        for attempt in range(MAX_TRIES):
            asked = messages
            if written := self.ledger.text[begin:]:
                so_far = llm_pb2.Message(role=ASSISTANT, text=written)
                asked = [*messages, so_far, llm_pb2.Message(role=llm_pb2.Message.ROLE_USER, text=GO_ON)]
            try:
                return await self._generate_once(asked, segment, tasks)
            except ServiceFailed as failure:
                if attempt + 1 == MAX_TRIES or not failure.is_worth_another_try:
                    raise
        raise AssertionError("the last try returns or raises")

    async def _generate_once(
        self, messages: list[llm_pb2.Message], segment: Segment | None, tasks: asyncio.TaskGroup | None
    ) -> list[llm_pb2.ToolCall]:
        model, parent = self._voices.language_model, self.turn.trace_context
        calls: list[llm_pb2.ToolCall] = []
        # Before the request is sent: what is known of the service's clock rests on it.
        hop = self._hop("llm", "")
        async with model.generate(messages, self._voices.tools.tools, parent) as answers:
            hop.served_by(model.link.ready)
            async for answer in answers:
                match answer.WhichOneof("streaming_response"):
                    case "text_delta":
                        hop.output()
                        await self._say(answer.text_delta.text, segment, tasks)
                    case "tool_call":
                        hop.output()
                        calls.append(answer.tool_call.tool_call)
                    case "finished":
                        hop.finish(answer.finished.timing)
                        return calls if answer.finished.reason == TOOL_CALLS else []
                    case _:
                        pass
        return []

    async def _say(self, text: str, segment: Segment | None, tasks: asyncio.TaskGroup | None) -> None:
        async with self._saying:
            self.ledger.text += text
            await self.outbox.put(Text(self.turn, text))
            if segment is None or tasks is None:
                return
            self._begin_to_play(segment, tasks)
            await segment.say(text)

    def _begin_to_play(self, segment: Segment, tasks: asyncio.TaskGroup) -> None:
        if self._tts_hop is None:
            self._tts_hop = self._hop(f"tts/{segment.ready.engine}", segment.ready.host)
            tasks.create_task(self._play(segment, self._tts_hop))

    async def _play(self, segment: Segment, hop: HopClock) -> None:
        """Pass the audio on; if the service breaks, the words it did not get to are spoken by another, or read."""
        for attempt in range(MAX_TRIES):
            try:
                if attempt:
                    hop = self._hop(hop.service, hop.host)
                    await segment.restart(self._made.characters(self.ledger.text), self._made.end_s)
                await self._play_once(segment, hop)
            except ServiceFailed as failure:
                if not failure.is_worth_another_try:
                    raise
            else:
                return
        segment.is_mute = self.ledger.is_shown = True
        if self._made.end_s:
            await self._put_end()

    async def _play_once(self, segment: Segment, hop: HopClock) -> None:
        async for answer in segment.answers:
            match answer.WhichOneof("streaming_response"):
                case "audio":
                    hop.output()
                    await self._put_audio(answer.audio, segment)
                case "word_timing":
                    start_s = segment.base_s + seconds_of(answer.word_timing.start_offset)
                    self.ledger.timed(answer.word_timing.text, start_s)
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
        voice, begin_s = self._voices.audio, segment.base_s + seconds_of(audio.offset)
        if begin_s < self._got_s and audio.text_start > 0:
            # The clause that was begun by another coordinator is shorter this time: what follows it is not cut.
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
            self.ledger.sent(piece)
            self._voices.note(Record(piece=piece.to_proto()))
            return voice.message(self.turn, piece.offset_s, data)

        await self.outbox.put(message, piece.duration_s)

    async def _put_end(self) -> None:
        end_s = self._made.end_s
        await self.outbox.put(lambda: self._voices.audio.message(self.turn, end_s, b"", is_last=True))

    async def _put(self, response: Response) -> None:
        await self.outbox.put(lambda: response)
