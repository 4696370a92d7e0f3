"""The person's audio on its way to turn detection, and while somebody speaks to recognition."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from copy import copy
from math import inf
from typing import Any

import numpy as np

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh.stt.v1 import stt_pb2, stt_pb2_grpc
from voxmesh.turn.v1 import turn_pb2, turn_pb2_grpc
from voxmesh_coordinator.cleaning import cleaned
from voxmesh_coordinator.listening.audio_clock import AudioClock
from voxmesh_coordinator.listening.audio_retention import AudioRetention
from voxmesh_coordinator.listening.pending_audio import FinalizeMarker, Heard, PendingAudio
from voxmesh_coordinator.registry import BackendRegistry
from voxmesh_coordinator.turn.events import (
    EndOfTurnPredicted,
    Event,
    FinalizeAnswered,
    ListeningFailed,
    SpeechStarted,
    SpeechStopped,
    WordsHeard,
)
from voxmesh_routing.failover import FailoverStream
from voxmesh_runtime.audio import AudioFormat, Decoder, Encoding, Samples
from voxmesh_runtime.clock import duration, seconds_of
from voxmesh_runtime.errors import InvalidArgument

TurnRequest = turn_pb2.StreamingDetectRequest
TurnResponse = turn_pb2.StreamingDetectResponse
SttRequest = stt_pb2.StreamingRecognizeRequest
SttResponse = stt_pb2.StreamingRecognizeResponse

APPLIED = common_pb2.OptionOutcome.OUTCOME_APPLIED

ROUNDING_S = 0.001
"""More than rounding moves an offset, and less than the shortest piece of audio, in seconds."""
REACHING_S = 3.0
"""Latest audio, in seconds, that is heard after all once turn detection is back: reaching it may take as long."""
KEPT_S = 10.0
"""Latest audio that is kept, in seconds: speech is told of late, and a client may run ahead."""


class Microphone:
    """Forwards audio, takes a silence of `pause_s` as a pause, and gives both services' answers as events.

    Offsets of the events are those of the microphone's audio. `place` is where the audio goes on that another
    coordinator has got before; if it may skip, the client need not have kept all of it since then.

    Raises from its methods:
        ServiceFailed: a service cannot be reached.
    """

    def __init__(
        self,
        services: BackendRegistry,
        config: stt_pb2.RecognitionConfig,
        on_event: Callable[[Event], None],
        *,
        pause_s: float,
        place: session_pb2.Microphone,
        may_skip: bool,
    ) -> None:
        settings, self._process_clock = services.settings, services.clock
        self._on_event = on_event
        self._format = AudioFormat.from_proto(config.audio_format, "config.recognition.audio_format")
        self._decoder = Decoder(self._format, "audio.data")
        self.shows_interim_results = config.interim_results
        self._pre_roll_s = settings.pre_roll_s
        self.pause_s = pause_s
        self.clock = AudioClock(place.offset_s)
        self.last_audio_at = self._process_clock.now()
        self.turn = FailoverStream[TurnRequest, TurnResponse](
            services.turn,
            lambda channel: turn_pb2_grpc.TurnDetectionServiceStub(channel).StreamingDetect(),
            TurnRequest(
                config=turn_pb2.TurnDetectionConfig(
                    audio_format=config.audio_format, min_silence_duration=duration(self.pause_s), transcripts=True
                )
            ),
            on_response=self._on_turn,
            on_failure=lambda failure: on_event(ListeningFailed(failure)),
            timeouts=services.timeouts,
            clock=services.clock,
        )
        self.stt = FailoverStream[SttRequest, SttResponse](
            services.stt,
            lambda channel: stt_pb2_grpc.SpeechToTextServiceStub(channel).StreamingRecognize(),
            SttRequest(config=_with_interim_results(config)),
            on_response=self._on_stt,
            on_failure=lambda failure: on_event(ListeningFailed(failure)),
            timeouts=services.timeouts,
            clock=services.clock,
            languages=list(config.language_codes),
        )
        self._sending = asyncio.Lock()
        self._recent = deque[Heard]()
        self._unheard = PendingAudio()
        self._is_recognizing = False
        self._needed = AudioRetention(place)
        self._next_sequence = place.next_sequence
        self._may_skip = may_skip
        self._stopped_s = 0.0
        self._turn_epoch = self._stt_epoch = 0
        self._turn_base_s = self._turn_heard_s = 0.0
        self._turn_parent = common_pb2.TraceContext()
        self._words = turn_pb2.Transcript()
        self._stt_sent_s = 0.0
        self._stt_shift_s = 0.0

    @property
    def links(self) -> list[FailoverStream[Any, Any]]:
        """The streams to the services."""
        return [self.turn, self.stt]

    @property
    def sample_rate_hertz(self) -> int:
        """Of its audio."""
        return self._format.sample_rate_hertz

    def heard(self, begin_s: float, end_s: float) -> Samples:
        """The samples from one moment to another, as far as they are among the latest KEPT_S."""
        pieces = [piece for piece in self._recent if piece.end_s > begin_s and piece.begin_s < end_s]
        if not pieces:
            return np.zeros(0, np.float32)
        samples = np.concatenate([self._decoder.decode(piece.data) for piece in pieces])
        first, last = ((each - pieces[0].begin_s) * self.sample_rate_hertz for each in (begin_s, end_s))
        return samples[max(0, round(first)) : round(last)]

    @property
    def next_sequence(self) -> int:
        """Sequence of the piece of audio that is awaited."""
        return self._next_sequence

    @property
    def needed(self) -> session_pb2.Microphone:
        """The first piece of audio that another replica would need."""
        return self._needed.place()

    def settle(self) -> None:
        """The turn that ended last is kept in words, or was none: its audio is needed no more."""
        self._needed.settle()

    async def chunk(self, chunk: conversation_pb2.AudioChunk) -> int:
        """Take the next piece of audio; repeats are dropped. Returns the last sequence taken.

        Raises:
            InvalidArgument: a piece is missing, or it is no audio of the format.
        """
        if self._may_skip and chunk.sequence > self._next_sequence:
            self._skip(chunk)
        if chunk.sequence > self._next_sequence:
            problem = f"must be {self._next_sequence}, the next one, not {chunk.sequence}"
            raise InvalidArgument("audio.sequence", problem)
        if chunk.sequence == self._next_sequence:
            self._check(chunk.data)
            self._may_skip = False
            self._next_sequence += 1
            await self._forward(chunk.data)
        return self._next_sequence - 1

    async def start_recognizing(self, offset_s: float, parent: common_pb2.TraceContext) -> None:
        """Speech began at `offset_s`: recognition gets the audio from a little before that on."""
        async with self._sending:
            self._turn_parent = parent
            was_recognizing, self._is_recognizing = self._is_recognizing, True
            if not was_recognizing:
                self._needed.turn_began(offset_s)
                begin_s = offset_s - self._pre_roll_s
                self._unheard.begin(piece for piece in self._recent if piece.end_s > begin_s)
            await self.turn.send(TurnRequest(trace_context=parent))
            if was_recognizing:
                return
            if self.stt.is_open and self._stt_epoch == self.stt.epoch:
                self._stt_shift_s = self._unheard.begin_s(self.clock.offset_s) - self._stt_sent_s
                for piece in self._unheard:
                    await self._to_stt(piece)
            else:
                await self._ensure_stt()

    async def finalize(self, parent: common_pb2.TraceContext) -> None:
        """What was said so far is wanted as final; recognition goes on."""
        async with self._sending:
            mark = FinalizeMarker(parent)
            self._unheard.add(mark)
            if not await self._ensure_stt():
                await self._to_stt(mark)

    async def understood(self, text: str, language_code: str) -> None:
        """The latest words of the turn in progress are these by now: turn detection judges by them, too."""
        async with self._sending:
            if self._is_recognizing and text != self._words.text:
                self._words = turn_pb2.Transcript(text=text, language_code=language_code)
                await self._tell_words()

    def mark_end_of_turn(self, *, has_failed: bool = False) -> None:
        """The turn's audio is needed until it is settled, and no longer."""
        end_s = self.clock.offset_s
        self._needed.turn_ended(end_s if has_failed else min(self._stopped_s + self.pause_s, end_s))

    async def end_turn(self) -> None:
        """The turn is over, and its transcript complete: the next speech is a new turn's."""
        async with self._sending:
            self._unheard.begin()
            if self._is_recognizing:
                self._is_recognizing = False
                # Silence since the transcript; the next turn is not to begin with it.
                if self.stt.is_open:
                    await self.stt.send(SttRequest(discard=stt_pb2.Discard()))
            self._words = turn_pb2.Transcript()
            await self.turn.send(TurnRequest(new_turn=turn_pb2.NewTurn()))

    async def stop_recognizing(self) -> None:
        """The turn failed: recognition gets no more of it."""
        async with self._sending:
            self._is_recognizing = False
            self._unheard.begin()

    async def recover(self) -> None:
        """A stream broke: open it again, maybe elsewhere, and say again what it has not answered.

        Raises:
            ServiceFailed: no backend can be reached.
        """
        async with self._sending:
            await self._ensure_turn()
            if self._is_recognizing or self._unheard:
                await self._ensure_stt()

    def _check(self, data: bytes) -> None:
        # Only floats need a look at their values; the rest is right by its length.
        if self._format.encoding is Encoding.F32LE:
            self._decoder.check(data)
        elif not data or len(data) % self._format.bytes_per_frame or len(data) > 64 * 1024:
            size = self._format.bytes_per_frame
            raise InvalidArgument("audio.data", f"{len(data)} bytes are not 1 to 65536 in whole frames of {size}")

    def _skip(self, chunk: conversation_pb2.AudioChunk) -> None:
        """The client has not kept what is missing here, which was as long as what comes, piece by piece."""
        self.clock.offset_s += (chunk.sequence - self._next_sequence) * self._seconds(chunk.data)
        self._next_sequence = chunk.sequence

    def _seconds(self, data: bytes) -> float:
        return len(data) / self._format.bytes_per_frame / self._format.sample_rate_hertz

    async def _forward(self, data: bytes) -> None:
        async with self._sending:
            self.last_audio_at = self._process_clock.now()
            begin_s = self.clock.offset_s
            self.clock.arrived(self._seconds(data), self._process_clock.wall_ns())
            self._needed.arrived(self._next_sequence - 1, self.clock.offset_s)
            piece = Heard(begin_s, self.clock.offset_s, data)
            self._recent.append(piece)
            while self._recent[0].end_s < self.clock.offset_s - KEPT_S:
                self._recent.popleft()
            if self._is_recognizing:
                self._unheard.add(piece)
            try:
                if not await self._ensure_turn():
                    await self.turn.send(TurnRequest(audio=data))
                    self._turn_heard_s = self.clock.offset_s
            finally:
                # One service that broke is no reason to leave a gap in what the other hears.
                if self._is_recognizing and not await self._ensure_stt():
                    await self._to_stt(piece)

    async def _ensure_turn(self) -> bool:
        """Open turn detection if it is not; True if it was opened, and has heard all again that matters."""
        await self.turn.reach()
        if self._turn_epoch == self.turn.epoch:
            return False
        self._turn_epoch = self.turn.epoch
        again = list(self._recent)
        if not self._is_recognizing:
            # Nobody speaks: what is new came while it was reached again.
            since_s = max(self._turn_heard_s, self.clock.offset_s - REACHING_S)
            again = [piece for piece in again if piece.end_s > since_s] or again[-1:]
        self._turn_base_s = again[0].begin_s if again else self.clock.offset_s
        if self._is_recognizing:
            await self.turn.send(TurnRequest(trace_context=self._turn_parent))
            await self._tell_words()
        for piece in again:
            await self.turn.send(TurnRequest(audio=piece.data))
        self._turn_heard_s = self.clock.offset_s
        return True

    @property
    def judges_words(self) -> bool:
        """Turn detection judges by the words, too."""
        options = self.turn.ready.options
        return any(each.field == "config.transcripts" and each.outcome == APPLIED for each in options)

    async def _tell_words(self) -> None:
        if self.judges_words and self._words.text:
            await self.turn.send(TurnRequest(transcript=self._words))

    async def _ensure_stt(self) -> bool:
        """Open recognition if it is not; True if it was opened, and has heard all again that it owes an answer to."""
        await self.stt.reach()
        if self._stt_epoch == self.stt.epoch:
            return False
        self._stt_epoch, self._stt_sent_s = self.stt.epoch, 0.0
        self._stt_shift_s = self._unheard.begin_s(self.clock.offset_s)
        for entry in self._unheard:
            await self._to_stt(entry)
        return True

    async def _to_stt(self, entry: Heard | FinalizeMarker) -> None:
        if isinstance(entry, FinalizeMarker):
            await self.stt.send(SttRequest(finalize=stt_pb2.Finalize(trace_context=entry.parent)))
        else:
            await self.stt.send(SttRequest(audio=entry.data))
            self._stt_sent_s += entry.end_s - entry.begin_s

    async def _on_turn(self, response: TurnResponse) -> None:
        match response.WhichOneof("streaming_response"):
            case "speech_started":
                self._stopped_s = inf
                self._on_event(SpeechStarted(seconds_of(response.speech_started) + self._turn_base_s))
            case "speech_stopped":
                self._stopped_s = seconds_of(response.speech_stopped) + self._turn_base_s
                self._on_event(SpeechStopped(self._stopped_s))
            case "end_of_turn":
                end = response.end_of_turn
                self._on_event(
                    EndOfTurnPredicted(
                        end.probability,
                        seconds_of(end.silence_duration),
                        end.timing,
                        sent_ns=self._sent_ns(end, self._turn_base_s),
                        words=end.transcript if self.judges_words else None,
                        is_of_sound=end.HasField("received_audio_duration") or not self.judges_words,
                    )
                )
            case _:
                pass

    def _sent_ns(self, answer: turn_pb2.EndOfTurn | stt_pb2.RecognitionResult, base_s: float) -> int | None:
        """When the audio that an answer rests on went to its service, and not after that."""
        if not answer.HasField("received_audio_duration"):
            return None
        return self.clock.time_ns(seconds_of(answer.received_audio_duration) + base_s - ROUNDING_S)

    async def _on_stt(self, response: SttResponse) -> None:
        match response.WhichOneof("streaming_response"):
            case "result":
                result = self._shifted(response.result)
                result.transcript = cleaned(result.transcript)
                if result.is_final:
                    self._unheard.answered(seconds_of(result.end_offset))
                sent_ns = self._sent_ns(result, self._stt_shift_s)
                timing = copy(result.timing) if result.HasField("timing") else None
                # Between the services alone: the client's audio has other offsets, and its clock is another.
                result.ClearField("timing")
                result.ClearField("received_audio_duration")
                self._on_event(
                    WordsHeard(result.transcript, result.is_final, result.language_code, result, sent_ns, timing)
                )
            case "finalized":
                self._unheard.finalize_answered()
                self._on_event(FinalizeAnswered(response.finalized.timing))
            case _:
                pass

    def _shifted(self, result: stt_pb2.RecognitionResult) -> stt_pb2.RecognitionResult:
        """The result with offsets of the microphone's audio instead of the recognition stream's."""
        offsets = [result.end_offset, *(word.start_offset for word in result.words)]
        offsets += [word.end_offset for word in result.words]
        for offset in offsets:
            offset.CopyFrom(duration(max(0.0, seconds_of(offset) + self._stt_shift_s)))
        return result


def _with_interim_results(config: stt_pb2.RecognitionConfig) -> stt_pb2.RecognitionConfig:
    """Replies are prepared from them, and echoes told by them, whether or not the client wants to see them."""
    wanted = stt_pb2.RecognitionConfig(interim_results=True)
    wanted.MergeFrom(config)
    return wanted
