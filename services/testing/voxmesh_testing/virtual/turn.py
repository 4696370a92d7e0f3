"""A turn detector that hears speech by its loudness and judges pauses by the words that it can read in the samples."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from voxmesh.turn.v1 import turn_pb2, turn_pb2_grpc
from voxmesh_runtime.clock import duration, seconds_of
from voxmesh_runtime.outcomes import applied, ignored
from voxmesh_runtime.settings import ServerSettings
from voxmesh_runtime.streams import AnyContext, StreamCall
from voxmesh_testing.virtual.service import FakeService, Work
from voxmesh_testing.virtual.speech import Hearing, loud_blocks

Request = turn_pb2.StreamingDetectRequest
Response = turn_pb2.StreamingDetectResponse
Call = StreamCall[Request, Response]

BLOCK_S = 0.01
MIN_SPEECH_S = 0.06
REPEAT_S, REPEAT_SHARE = 0.15, 0.1
"""Least silence between two messages of one pause, in seconds and as a share of it."""


def sounds_finished(text: str) -> float:
    """The probability that a turn with these words is over: by its last mark, as a person's voice tells it."""
    return 0.95 if not text or text.endswith((".", "?", "!")) else 0.05


class FakeTurnDetector(turn_pb2_grpc.TurnDetectionServiceServicer, FakeService):
    """Serves turn detection."""

    def __init__(self, host: str = "somewhere", engine: str = "ear", settings: ServerSettings | None = None) -> None:
        FakeService.__init__(self, engine, host, settings=settings)
        self.judges_words = True
        """Transcripts are judged beside the sound."""
        self.judge: Callable[[str], float] = sounds_finished
        """The probability that a turn is over, by the words of its sound, and by those of its transcript."""
        self.judge_s, self.judge_words_s = 0.04, 0.03
        """Time that a judgement takes, in seconds."""
        self.may_judge = asyncio.Event()
        """Cleared while judgements are to be late."""
        self.may_judge.set()

    def register(self, server: Any) -> None:
        """Add it to a server."""
        turn_pb2_grpc.add_TurnDetectionServiceServicer_to_server(self, server)

    async def StreamingDetect(  # noqa: N802 # pyright: ignore[reportIncompatibleMethodOverride] # the contract's name
        self, request_iterator: AsyncIterator[Request], context: AnyContext
    ) -> None:
        """Watch one stream."""
        async with self.stream(request_iterator, context, Response) as (call, tasks):
            config = (await call.config()).config
            options = [
                applied(f"config.{name}")
                for name in ("activation_threshold", "min_speech_duration", "min_silence_duration")
                if config.HasField(name)
            ]
            if config.transcripts:
                field = "config.transcripts"
                options.append(applied(field) if self.judges_words else ignored(field, "sound alone is judged"))
            await call.send(Response(ready=self.ready(options)))
            await _Detection(self, call, tasks, config).run()

    async def GetModelInfo(  # noqa: N802 # pyright: ignore[reportIncompatibleMethodOverride] # the contract's name
        self, request: turn_pb2.GetModelInfoRequest, context: AnyContext
    ) -> turn_pb2.GetModelInfoResponse:
        """Describe it."""
        del request, context
        return turn_pb2.GetModelInfoResponse(
            model_info=self.model_info(), semantic_end_of_turn=True, judges_transcripts=self.judges_words
        )


class _Detection:
    """One stream's."""

    def __init__(
        self, service: FakeTurnDetector, call: Call, tasks: asyncio.TaskGroup, config: turn_pb2.TurnDetectionConfig
    ) -> None:
        self._service, self._call, self._tasks = service, call, tasks
        self._rate_hertz = config.audio_format.sample_rate_hertz
        self._min_silence_s = seconds_of(config.min_silence_duration) or 0.2
        self._weighs_words = config.transcripts and service.judges_words
        self._hearing = Hearing()
        self._position_s = self._loud_s = 0.0
        self._last_loud_s = 0.0
        self._is_speaking = False
        self._pause: _Pause | None = None
        self._words = ""
        self._by_words: float | None = None
        self._judging: asyncio.Task[None] | None = None

    async def run(self) -> None:
        async for kind, request in self._call:
            await self._service.works()
            match kind:
                case "audio":
                    await self._listen(request.audio)
                case "new_turn":
                    self._pause, self._hearing = None, Hearing()
                    self._words, self._by_words = "", None
                case "transcript" if self._weighs_words:
                    if self._judging is not None:
                        self._judging.cancel()
                    self._judging = self._tasks.create_task(self._judge_words(request.transcript.text))
                case _:
                    pass

    async def _listen(self, data: bytes) -> None:
        work, block = self._service.work(), round(BLOCK_S * self._rate_hertz)
        end_s = self._position_s + len(data) / 2 / self._rate_hertz
        self._hearing.feed(data)
        for is_loud in loud_blocks(data, block):
            self._position_s += BLOCK_S
            await self._take_block(work, end_s, is_loud=is_loud)
        self._position_s = end_s
        if self._pause is not None:
            await self._pause.last(self._position_s, work, end_s)

    async def _take_block(self, work: Work, end_s: float, *, is_loud: bool) -> None:
        self._loud_s = self._loud_s + BLOCK_S if is_loud else 0.0
        if is_loud:
            self._last_loud_s = self._position_s
        if not self._is_speaking and self._loud_s >= MIN_SPEECH_S - BLOCK_S / 2:
            self._is_speaking, self._pause = True, None
            await self._call.send(Response(speech_started=duration(max(0.0, self._position_s - self._loud_s))))
        elif self._is_speaking and self._position_s - self._last_loud_s >= self._min_silence_s - BLOCK_S / 2:
            self._is_speaking = False
            await self._call.send(Response(speech_stopped=duration(self._last_loud_s)))
            self._pause = _Pause(self, self._last_loud_s)
            self._tasks.create_task(self._judge_sound(self._pause, work, end_s))

    async def _judge_sound(self, pause: _Pause, work: Work, end_s: float) -> None:
        work.start()
        await self._service.works(self._service.judge_s)
        await self._service.may_judge.wait()
        pause.by_sound = self._service.judge(self._hearing.text)
        await self.tell(pause, work, end_s)

    async def _judge_words(self, text: str) -> None:
        work = self._service.work()
        work.start()
        await self._service.works(self._service.judge_words_s)
        await self._service.may_judge.wait()
        self._words, self._by_words = text, self._service.judge(text)
        if self._pause is not None:
            await self.tell(self._pause, work, None)

    async def tell(self, pause: _Pause, work: Work, end_s: float | None) -> None:
        """Tell a judgement on the pause that lasts, by words where they are known, else by sound."""
        probability = self._by_words if self._by_words is not None else pause.by_sound
        if probability is None or pause is not self._pause:
            return
        pause.told_s = pause.silence_s
        judged = turn_pb2.EndOfTurn(
            probability=probability,
            silence_duration=duration(pause.silence_s),
            timing=work.timing(is_output=True),
            received_audio_duration=None if end_s is None else duration(end_s),
            transcript=self._words,
        )
        await self._call.send(Response(end_of_turn=judged))


class _Pause:
    """One silence."""

    def __init__(self, detection: _Detection, offset_s: float) -> None:
        self._detection = detection
        self._offset_s = offset_s
        self.by_sound: float | None = None
        self.silence_s = self.told_s = 0.0

    async def last(self, position_s: float, work: Work, end_s: float) -> None:
        """It lasts up to here."""
        self.silence_s = position_s - self._offset_s
        if self.by_sound is not None and self.silence_s - self.told_s >= max(REPEAT_S, self.silence_s * REPEAT_SHARE):
            await self._detection.tell(self, work, end_s)
