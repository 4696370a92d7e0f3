"""The gRPC side of speech synthesis: text in, audio out, whatever the engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc

from voxmesh.tts.v1 import tts_pb2, tts_pb2_grpc
from voxmesh_runtime.streams import AnyContext, StreamCall, Streams
from voxmesh_tts.delivery import Request, Response
from voxmesh_tts.engine import Host, Voice
from voxmesh_tts.options import common_outcomes, output_format, synthesis_options
from voxmesh_tts.segments import Segments
from voxmesh_tts.settings import TtsSettings
from voxmesh_tts.synthesis import Synthesis

InfoRequest = tts_pb2.GetModelInfoRequest
InfoResponse = tts_pb2.GetModelInfoResponse


class TtsService(tts_pb2_grpc.TextToSpeechServiceServicer):
    """Serves one engine; see `voxmesh_runtime.server.Service`."""

    names = (tts_pb2.DESCRIPTOR.services_by_name["TextToSpeechService"].full_name,)

    def __init__(self, host: Host, settings: TtsSettings) -> None:
        self.streams = Streams(settings)
        self._host = host
        self._settings = settings

    def register(self, server: grpc.aio.Server) -> None:
        """Add the servicer."""
        tts_pb2_grpc.add_TextToSpeechServiceServicer_to_server(self, server)

    async def start(self) -> None:
        """Load and warm up the model."""
        await self._host.start()

    async def stop(self) -> None:
        """Free the model."""
        await self._host.stop()

    async def StreamingSynthesize(  # pyright: ignore[reportIncompatibleMethodOverride] # grpc.aio takes coroutines too
        self, request_iterator: AsyncIterator[Request], context: AnyContext
    ) -> None:
        """Speak one stream."""
        async with self.streams.open(request_iterator, context, Response) as call:
            config = (await call.config()).config
            info = self._host.info
            options = synthesis_options(config, info)
            audio_format = output_format(config, info)
            async with (
                self._host.using() as stepper,
                stepper.thread.holding(lambda: self._host.engine.open(options)) as session,
            ):
                outcomes = [*common_outcomes(config, options, info), *session.outcomes]
                await call.send(Response(ready=self._host.ready(outcomes)))
                synthesis = Synthesis(call, session, stepper, self._host, audio_format)
                segments = Segments(info.clause_limits, self._settings.max_queued_segments)
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(synthesis.run(segments))
                    await _receive(call, segments)

    async def GetModelInfo(self, request: InfoRequest, context: AnyContext) -> InfoResponse:
        """Describe the loaded model."""
        del request, context
        info = self._host.info
        return InfoResponse(
            model_info=self._host.model_info(self.streams),
            voices=map(_voice, info.voices),
            sample_rate_hertz=info.sample_rate_hertz,
            word_time_offsets=info.word_time_offsets,
            voice_cloning=info.voice_cloning,
            instruction=info.instruction,
            voice_blends=info.voice_blends,
        )


def _voice(voice: Voice) -> tts_pb2.Voice:
    gender = tts_pb2.Voice.Gender.ValueType(voice.gender.value)
    return tts_pb2.Voice(name=voice.name, language_codes=voice.language_codes, gender=gender)


async def _receive(call: StreamCall[Request, Response], segments: Segments) -> None:
    """Move the caller's messages to the segments; half-close ends the open one."""
    async for kind, request in call:
        match kind:
            case "text":
                text = request.text
                segments.add_text(text.text, text.trace_context, continues=text.continues)
            case "end_of_segment":
                segments.end_segment()
            case _:
                segments.cancel()
    segments.close()
