"""A session's spoken replies on one stream to the tts service, over gRPC."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from voxmesh.common.v1 import common_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh.tts.v1 import tts_pb2, tts_pb2_grpc
from voxmesh_coordinator.registry import BackendRegistry
from voxmesh_coordinator.reply.upstreams import Served, SpeechEvent, Spoken, SpokenAudio
from voxmesh_routing.failover import FailoverStream, over_grpc
from voxmesh_routing.failures import ServiceFailed
from voxmesh_routing.replays.synthesis import Begun, Cancel, End, Request, Response, Say, Speak, Unit, VoiceReplay
from voxmesh_routing.response_queue import ResponseQueue
from voxmesh_runtime.audio import AudioFormat
from voxmesh_runtime.clock import seconds_of


class StreamingVoice:
    """The `Voice` of a session, over gRPC."""

    def __init__(self, services: BackendRegistry, config: tts_pb2.SynthesisConfig, audio_format: AudioFormat) -> None:
        self._clock = services.clock
        self._replay = VoiceReplay(config, audio_format)
        self.stream = FailoverStream[Unit, Request, Response](
            services.tts,
            over_grpc(lambda channel: tts_pb2_grpc.TextToSpeechServiceStub(channel).StreamingSynthesize()),
            self._replay,
            on_response=self._deliver,
            on_failure=self._fail,
            timeouts=services.timeouts,
            clock=services.clock,
        )
        self.stream.watchers.append(self._opened)
        self._number = 0
        self._answers = ResponseQueue[SpeechEvent]()

    async def is_there(self) -> bool:
        """See `Voice`."""
        try:
            await self.stream.reach()
        except ServiceFailed:
            # Whether it is down or refuses: a reply in text is better than none, and the client is told why.
            return False
        return True

    @asynccontextmanager
    async def speak(
        self, parent: common_pb2.TraceContext, begun: Begun | None = None
    ) -> AsyncGenerator[ResponseQueue[SpeechEvent]]:
        """See `Voice`."""
        answers = self._answers = ResponseQueue[SpeechEvent]()
        self._number = number = self._number + 1
        self._send(Speak(number, parent, begun))
        try:
            yield answers
        finally:
            answers.close()
            self.stream.send(Cancel(number))

    def say(self, text: str) -> None:
        """See `Voice`."""
        self._send(Say(text))

    def end(self) -> None:
        """See `Voice`."""
        self._send(End())

    def _send(self, unit: Unit) -> None:
        was_begun, sent_ns = self._replay.is_owing, self._clock.wall_ns()
        self.stream.send(unit)
        if not was_begun and self._replay.is_owing and self.stream.is_open:
            self._answers.add(Served(self.stream.ready, sent_ns))

    async def _deliver(self, response: Response) -> None:
        answers = self._answers
        match response.WhichOneof("streaming_response"):
            case "audio":
                audio = response.audio
                piece = session_pb2.SpokenPiece(
                    text_start=audio.text_start,
                    text_end=audio.text_end,
                    offset_s=seconds_of(audio.offset),
                    duration_s=self._replay.seconds(audio.data),
                )
                await answers.put(SpokenAudio(piece, audio.data))
            case "word_timing":
                word = response.word_timing
                await answers.put(session_pb2.SpokenWord(text=word.text, start_s=seconds_of(word.start_offset)))
            case "segment_finished":
                await answers.put(Spoken(response.segment_finished.timing))
            case _:
                pass

    def _opened(self, failure: ServiceFailed | None) -> None:
        if failure is None and self._replay.is_owing:
            self._answers.add(Served(self.stream.ready, self.stream.opened_ns))

    def _fail(self, failure: ServiceFailed) -> None:
        self.stream.send(Cancel(self._number))
        self._answers.add(failure)
