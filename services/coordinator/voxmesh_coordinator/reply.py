"""One reply: the language model writes, speech follows while it writes, both flow to the client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.llm.v1 import llm_pb2
from voxmesh.tts.v1 import tts_pb2
from voxmesh_coordinator.language_model import LanguageModel
from voxmesh_coordinator.ledger import Ledger, SpokenPiece
from voxmesh_coordinator.mailbox import Mailbox
from voxmesh_coordinator.report import HopClock
from voxmesh_coordinator.speech import Segment, Speech
from voxmesh_coordinator.tools import ToolDesk
from voxmesh_coordinator.user_turn import UserTurn
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

    async def send_audio(self, turn: UserTurn, piece: tts_pb2.SegmentAudio, *, is_last: bool = False) -> None:
        """Send one piece of a turn's reply."""
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
        await self.send(Response(reply_audio=audio))


@dataclass(frozen=True, slots=True)
class Voices:
    """What a session replies with; `speech` is None where replies are text alone."""

    language_model: LanguageModel
    speech: Speech | None
    audio: ReplyAudioStream
    tools: ToolDesk
    tool_rounds: int


class Reply:
    """The reply to one turn; cancelling `run` cancels the language model and speech at once."""

    def __init__(self, turn: UserTurn, messages: list[llm_pb2.Message], voices: Voices) -> None:
        self.ledger = Ledger()
        self._turn = turn
        self._messages = messages
        self._voices = voices
        self._tts_hop: HopClock | None = None

    async def run(self) -> None:
        """Reply to the end.

        Raises:
            ServiceFailed: alone or in a group, when a service refused or broke.
        """
        speech = self._voices.speech
        if speech is None:
            await self._write(None, None)
            return
        async with speech.segment(self._turn.trace_context) as segment, asyncio.TaskGroup() as tasks:
            await self._write(segment, tasks)
            await segment.end()

    async def _write(self, segment: Segment | None, tasks: asyncio.TaskGroup | None) -> None:
        for _ in range(self._voices.tool_rounds):
            calls = await self._generate(segment, tasks)
            if not calls:
                return
            self._messages.append(llm_pb2.Message(role=llm_pb2.Message.ROLE_ASSISTANT, tool_calls=calls))
            for call in calls:
                await self._send(Response(tool_call=self._voices.tools.expect(call)))
            for call in calls:
                self._messages.append(await self._voices.tools.answer(call))

    async def _generate(self, segment: Segment | None, tasks: asyncio.TaskGroup | None) -> list[llm_pb2.ToolCall]:
        """One generation; gives the tools it wants called."""
        model, parent = self._voices.language_model, self._turn.trace_context
        calls: list[llm_pb2.ToolCall] = []
        async with model.generate(self._messages, self._voices.tools.tools, parent) as answers:
            hop = self._turn.clock.hop(f"llm/{model.link.ready.engine}", model.link.ready.host)
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
        self.ledger.text += text
        await self._send(
            Response(reply_text=conversation_pb2.ReplyText(turn_index=self._turn.clock.turn_index, delta=text))
        )
        if segment is None or tasks is None:
            return
        if self._tts_hop is None and self._voices.speech is not None:
            ready = self._voices.speech.link.ready
            self._tts_hop = self._turn.clock.hop(f"tts/{ready.engine}", ready.host)
            tasks.create_task(self._play(segment.answers, self._tts_hop))
        await segment.say(text)

    async def _play(self, answers: Mailbox[tts_pb2.StreamingSynthesizeResponse], hop: HopClock) -> None:
        async for answer in answers:
            match answer.WhichOneof("streaming_response"):
                case "audio":
                    hop.output()
                    await self._send_piece(answer.audio)
                case "segment_finished":
                    hop.finish(answer.segment_finished.timing)
                    end = tts_pb2.SegmentAudio(offset=answer.segment_finished.audio_duration)
                    await self._voices.audio.send_audio(self._turn, end, is_last=True)
                    return
                case _:
                    pass

    async def _send_piece(self, audio: tts_pb2.SegmentAudio) -> None:
        await self._voices.audio.send_audio(self._turn, audio)
        length_s = self._voices.audio.seconds(audio.data)
        self.ledger.sent(SpokenPiece(seconds_of(audio.offset), length_s, audio.text_start, audio.text_end))

    async def _send(self, response: Response) -> None:
        await self._voices.audio.send(response)
