"""The person's audio on its way to turn detection, and while somebody speaks to recognition."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.stt.v1 import stt_pb2
from voxmesh.turn.v1 import turn_pb2
from voxmesh_coordinator.audio_clock import AudioClock
from voxmesh_coordinator.events import (
    Event,
    Finalized,
    LinkFailed,
    PauseJudged,
    SpeechStarted,
    SpeechStopped,
    Transcribed,
)
from voxmesh_coordinator.link import Link
from voxmesh_coordinator.services import Services
from voxmesh_runtime.audio import AudioFormat, Decoder, Encoding
from voxmesh_runtime.clock import duration, seconds_of
from voxmesh_runtime.errors import InvalidArgument

TurnRequest = turn_pb2.StreamingDetectRequest
TurnResponse = turn_pb2.StreamingDetectResponse
SttRequest = stt_pb2.StreamingRecognizeRequest
SttResponse = stt_pb2.StreamingRecognizeResponse

KEPT_S = 10.0
"""Audio kept while nobody is known to speak, in seconds: speech is told of late, and a client may run ahead."""


class Microphone:
    """Forwards audio, takes a silence of `pause_s` as a pause, and gives both services' answers as events.

    Offsets of the events are those of the microphone's audio.

    Raises from its methods:
        ServiceFailed: a service cannot be reached.
    """

    def __init__(
        self,
        services: Services,
        config: stt_pb2.RecognitionConfig,
        on_event: Callable[[Event], None],
        *,
        pause_s: float,
    ) -> None:
        settings = services.settings
        self._on_event = on_event
        self._format = AudioFormat.from_proto(config.audio_format, "config.recognition.audio_format")
        self._decoder = Decoder(self._format, "audio.data")
        self._pre_roll_s = settings.pre_roll_s
        self.pause_s = pause_s
        self.clock = AudioClock()
        self.last_audio_at = time.monotonic()
        self.turn = Link[TurnRequest, TurnResponse](
            services.labels["turn"],
            services.turn.StreamingDetect,
            TurnRequest(
                config=turn_pb2.TurnDetectionConfig(
                    audio_format=config.audio_format, min_silence_duration=duration(self.pause_s)
                )
            ),
            on_response=self._on_turn,
            on_failure=lambda failure: on_event(LinkFailed(failure)),
            connect_timeout_s=settings.connect_timeout_s,
        )
        self.stt = Link[SttRequest, SttResponse](
            services.labels["stt"],
            services.stt.StreamingRecognize,
            SttRequest(config=config),
            on_response=self._on_stt,
            on_failure=lambda failure: on_event(LinkFailed(failure)),
            connect_timeout_s=settings.connect_timeout_s,
        )
        self._sending = asyncio.Lock()
        self._pre_roll: deque[bytes] = deque()
        self._kept_s = 0.0
        self._is_recognizing = False
        self._next_sequence = 0
        self._turn_epoch = self._stt_epoch = 0
        self._turn_base_s = 0.0
        self._stt_sent_s = 0.0
        self._stt_shift_s = 0.0

    async def chunk(self, chunk: conversation_pb2.AudioChunk) -> int:
        """Take the next piece of audio; repeats are dropped. Returns the last sequence that is safe.

        Raises:
            InvalidArgument: a piece is missing, or it is no audio of the format.
        """
        if chunk.sequence > self._next_sequence:
            problem = f"must be {self._next_sequence}, the next one, not {chunk.sequence}"
            raise InvalidArgument("audio.sequence", problem)
        if chunk.sequence == self._next_sequence:
            self._check(chunk.data)
            self._next_sequence += 1
            await self._forward(chunk.data)
        return self._next_sequence - 1

    async def start_recognizing(self, offset_s: float, parent: common_pb2.TraceContext) -> None:
        """Speech began at `offset_s`: recognition gets the audio from a little before that on."""
        async with self._sending:
            await self.turn.send(TurnRequest(trace_context=parent))
            if self._is_recognizing:
                return
            self._is_recognizing = True
            wanted_s = self.clock.offset_s - offset_s + self._pre_roll_s
            pieces = self._newest(wanted_s)
            begin_s = self.clock.offset_s - sum(map(self._seconds, pieces))
            await self.stt.open()
            self._stt_shift_s = begin_s - (self._stt_sent_s if self._stt_epoch == self.stt.epoch else 0.0)
            for piece in pieces:
                await self._recognize(piece)
            self._pre_roll.clear()
            self._kept_s = 0.0

    async def finalize(self, parent: common_pb2.TraceContext) -> None:
        """What was said so far is wanted as final; recognition goes on."""
        async with self._sending:
            await self.stt.send(SttRequest(finalize=stt_pb2.Finalize(trace_context=parent)))

    async def end_turn(self) -> None:
        """The turn is over, and its transcript complete: the next speech is a new turn's."""
        async with self._sending:
            if self._is_recognizing:
                self._is_recognizing = False
                # Silence since the transcript; the next turn is not to begin with it.
                await self.stt.send(SttRequest(discard=stt_pb2.Discard()))
            await self.turn.send(TurnRequest(new_turn=turn_pb2.NewTurn()))

    async def stop_recognizing(self) -> None:
        """The turn failed: recognition gets no more of it."""
        async with self._sending:
            self._is_recognizing = False

    def _check(self, data: bytes) -> None:
        # Only floats need a look at their values; the rest is right by its length.
        if self._format.encoding is Encoding.F32LE:
            self._decoder.decode(data)
        elif not data or len(data) % self._format.bytes_per_frame or len(data) > 64 * 1024:
            size = self._format.bytes_per_frame
            raise InvalidArgument("audio.data", f"{len(data)} bytes are not 1 to 65536 in whole frames of {size}")

    def _seconds(self, data: bytes) -> float:
        return len(data) / self._format.bytes_per_frame / self._format.sample_rate_hertz

    async def _forward(self, data: bytes) -> None:
        async with self._sending:
            await self.turn.open()
            if self._turn_epoch != self.turn.epoch:
                self._turn_epoch, self._turn_base_s = self.turn.epoch, self.clock.offset_s
            self.last_audio_at = time.monotonic()
            self.clock.arrived(self._seconds(data), time.time_ns())
            await self.turn.send(TurnRequest(audio=data))
            if self._is_recognizing:
                await self._recognize(data)
            else:
                self._pre_roll.append(data)
                self._kept_s += self._seconds(data)
                while self._kept_s > KEPT_S:
                    self._kept_s -= self._seconds(self._pre_roll.popleft())

    def _newest(self, wanted_s: float) -> list[bytes]:
        pieces: list[bytes] = []
        for piece in reversed(self._pre_roll):
            if wanted_s <= 0:
                break
            pieces.append(piece)
            wanted_s -= self._seconds(piece)
        return pieces[::-1]

    async def _recognize(self, data: bytes) -> None:
        await self.stt.open()
        if self._stt_epoch != self.stt.epoch:
            self._stt_epoch, self._stt_sent_s = self.stt.epoch, 0.0
        await self.stt.send(SttRequest(audio=data))
        self._stt_sent_s += self._seconds(data)

    async def _on_turn(self, response: TurnResponse) -> None:
        match response.WhichOneof("streaming_response"):
            case "speech_started":
                self._on_event(SpeechStarted(seconds_of(response.speech_started) + self._turn_base_s))
            case "speech_stopped":
                self._on_event(SpeechStopped(seconds_of(response.speech_stopped) + self._turn_base_s))
            case "end_of_turn":
                end = response.end_of_turn
                self._on_event(PauseJudged(end.probability, seconds_of(end.silence_duration), end.timing))
            case _:
                pass

    async def _on_stt(self, response: SttResponse) -> None:
        match response.WhichOneof("streaming_response"):
            case "result":
                self._on_event(Transcribed(self._shifted(response.result)))
            case "finalized":
                self._on_event(Finalized(response.finalized.timing))
            case _:
                pass

    def _shifted(self, result: stt_pb2.RecognitionResult) -> stt_pb2.RecognitionResult:
        """The result with offsets of the microphone's audio instead of the recognition stream's."""
        offsets = [result.end_offset, *(word.start_offset for word in result.words)]
        offsets += [word.end_offset for word in result.words]
        for offset in offsets:
            offset.CopyFrom(duration(max(0.0, seconds_of(offset) + self._stt_shift_s)))
        return result
