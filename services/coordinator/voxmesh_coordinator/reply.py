"""One reply: the language model writes, speech follows while it writes, both flow to the client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.llm.v1 import llm_pb2
from voxmesh.tts.v1 import tts_pb2
from voxmesh_coordinator.history import History
from voxmesh_coordinator.language_model import LanguageModel
from voxmesh_coordinator.ledger import Ledger, SpokenPiece
from voxmesh_coordinator.mailbox import Mailbox
from voxmesh_coordinator.outbox import Outbox
from voxmesh_coordinator.report import HopClock
from voxmesh_coordinator.services import Services
from voxmesh_coordinator.speech import Segment, Speech
from voxmesh_coordinator.tools import ToolDesk
from voxmesh_coordinator.user_turn import UserTurn
from voxmesh_coordinator.vision import look
from voxmesh_runtime.audio import AudioFormat
from voxmesh_runtime.clock import seconds_of

Response = conversation_pb2.ConverseResponse
TOOL_CALLS = llm_pb2.Finished.REASON_TOOL_CALLS


class ReplyAudioStream:
    """Numbers the reply audio of a session; all replies share the one sequence."""

    def __init__(self, send: Callable[[Response], Awaitable[None]], audio_format: AudioFormat) -> None:
        self.send = send
        self._next_sequence = 0
        self._bytes_per_s = audio_format.bytes_per_frame * audio_format.sample_rate_hertz

    def seconds(self, data: bytes) -> float:
        """Length of a piece of audio."""
        return len(data) / self._bytes_per_s

    def message(self, turn: UserTurn, piece: tts_pb2.SegmentAudio, *, is_last: bool) -> Response:
        """The next piece of a turn's reply, about to be sent."""
        audio = conversation_pb2.ReplyAudio(
            sequence=self._next_sequence,
            turn_index=turn.clock.turn_index,
            offset=piece.offset,
            data=piece.data,
            is_last=is_last,
        )
        self._next_sequence += 1
        if piece.data:
            turn.clock.audio_sent()
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


class Reply:
    """The reply to one turn; cancelling `run` cancels the language model and speech at once.

    Args:
        turn: what is answered.
        history: what was said before it.
        voices: of the session.
        outbox: where the reply goes.
    """

    def __init__(self, turn: UserTurn, history: History, voices: Voices, outbox: Outbox) -> None:
        self.turn = turn
        self.text_answered = turn.text
        self.ledger = Ledger()
        self.outbox = outbox
        self.hops: list[HopClock] = []
        self._history = history
        self._voices = voices
        self._tts_hop: HopClock | None = None
        self._saying = asyncio.Lock()

    async def run(self, services: Services) -> None:
        """Reply to the end.

        Raises:
            ServiceFailed: alone or in a group, when a service refused or broke.
        """
        if self.turn.images:
            self.turn.seen = await look(services, self.turn.images, self.turn.text, self._hop, self.turn.trace_context)
        messages = self._history.messages(self.turn.said)
        speech = self._voices.speech
        if speech is None:
            await self._write(messages, None, None)
        else:
            async with speech.segment(self.turn.trace_context) as segment, asyncio.TaskGroup() as tasks:
                filling = tasks.create_task(self._fill(segment, tasks))
                await self._write(messages, segment, tasks)
                filling.cancel()
                await segment.end()
        await self.outbox.wait_open()

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
        for _ in range(self._voices.tool_rounds):
            calls = await self._generate(messages, segment, tasks)
            if not calls:
                return
            # A tool may do things in the world: only once the turn is certain.
            await self.outbox.wait_open()
            messages.append(llm_pb2.Message(role=llm_pb2.Message.ROLE_ASSISTANT, tool_calls=calls))
            for call in calls:
                await self._put(Response(tool_call=self._voices.tools.expect(call)))
            messages += [await self._voices.tools.answer(call) for call in calls]

    async def _generate(
        self, messages: list[llm_pb2.Message], segment: Segment | None, tasks: asyncio.TaskGroup | None
    ) -> list[llm_pb2.ToolCall]:
        """One generation; gives the tools it wants called."""
        model, parent = self._voices.language_model, self.turn.trace_context
        calls: list[llm_pb2.ToolCall] = []
        async with model.generate(messages, self._voices.tools.tools, parent) as answers:
            hop = self._hop(f"llm/{model.link.ready.engine}", model.link.ready.host)
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
            await self.outbox.put(lambda: self._text_message(text))
            if segment is None or tasks is None:
                return
            if self._tts_hop is None and self._voices.speech is not None:
                ready = self._voices.speech.link.ready
                self._tts_hop = self._hop(f"tts/{ready.engine}", ready.host)
                tasks.create_task(self._play(segment.answers, self._tts_hop))
            await segment.say(text)

    def _text_message(self, text: str) -> Response:
        return Response(reply_text=conversation_pb2.ReplyText(turn_index=self.turn.clock.turn_index, delta=text))

    async def _play(self, answers: Mailbox[tts_pb2.StreamingSynthesizeResponse], hop: HopClock) -> None:
        async for answer in answers:
            match answer.WhichOneof("streaming_response"):
                case "audio":
                    hop.output()
                    await self._put_audio(answer.audio)
                case "word_timing":
                    self.ledger.timed(answer.word_timing.text, seconds_of(answer.word_timing.start_offset))
                case "segment_finished":
                    hop.finish(answer.segment_finished.timing)
                    await self._put_end(answer.segment_finished)
                    return
                case _:
                    pass

    async def _put_audio(self, audio: tts_pb2.SegmentAudio) -> None:
        length_s = self._voices.audio.seconds(audio.data)

        def message() -> Response:
            self.ledger.sent(SpokenPiece(seconds_of(audio.offset), length_s, audio.text_start, audio.text_end))
            return self._voices.audio.message(self.turn, audio, is_last=False)

        await self.outbox.put(message, length_s)

    async def _put_end(self, finished: tts_pb2.SegmentFinished) -> None:
        end = tts_pb2.SegmentAudio(offset=finished.audio_duration)
        await self.outbox.put(lambda: self._voices.audio.message(self.turn, end, is_last=True))

    async def _put(self, response: Response) -> None:
        await self.outbox.put(lambda: response)
