"""The gRPC side of speech recognition: streams in, transcripts out, whatever the engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import grpc

from voxmesh.stt.v1 import stt_pb2, stt_pb2_grpc
from voxmesh_runtime.audio import AudioFormat, ModelInput
from voxmesh_runtime.batcher import Batcher
from voxmesh_runtime.streams import AnyContext, StreamCall, Streams
from voxmesh_stt.engine import Host, RecognitionOptions, Session, Step, Transcript
from voxmesh_stt.inbox import Discard, Finalize, Inbox
from voxmesh_stt.options import common_outcomes, recognition_options
from voxmesh_stt.recognition import Recognition, Request, Response, SttBatcher
from voxmesh_stt.settings import SttSettings

InfoRequest = stt_pb2.GetModelInfoRequest
InfoResponse = stt_pb2.GetModelInfoResponse


class SttService(stt_pb2_grpc.SpeechToTextServiceServicer):
    """Serves one engine; see `voxmesh_runtime.server.Service`."""

    names = (stt_pb2.DESCRIPTOR.services_by_name["SpeechToTextService"].full_name,)

    def __init__(self, host: Host, settings: SttSettings) -> None:
        self.streams = Streams(settings)
        self._host = host
        self._settings = settings
        self._batcher: SttBatcher = Batcher(host.thread, self._step)

    def register(self, server: grpc.aio.Server) -> None:
        """Add the servicer."""
        stt_pb2_grpc.add_SpeechToTextServiceServicer_to_server(self, server)

    async def start(self) -> None:
        """Load and warm up the model."""
        await self._host.start()
        self._batcher.max_batch_size = self._host.info.max_batch_size

    async def stop(self) -> None:
        """Free the model."""
        await self._host.stop()

    async def StreamingRecognize(  # pyright: ignore[reportIncompatibleMethodOverride] # grpc.aio takes coroutines too
        self, request_iterator: AsyncIterator[Request], context: AnyContext
    ) -> None:
        """Recognise one stream."""
        async with self.streams.open(request_iterator, context, Response) as call:
            config = (await call.config()).config
            info = self._host.info
            options = recognition_options(config, info)
            model_input = ModelInput(AudioFormat.from_proto(config.audio_format), info.sample_rate_hertz)
            async with (
                self._host.using(),
                self._host.thread.holding(lambda: self._host.engine.open(options)) as session,
            ):
                await self._acknowledge(call, session, options)
                await self._recognize(call, session, options, model_input)

    async def GetModelInfo(self, request: InfoRequest, context: AnyContext) -> InfoResponse:
        """Describe the loaded model."""
        del request, context
        info = self._host.info
        return InfoResponse(
            model_info=self._host.model_info(self.streams),
            streaming=info.streaming,
            mixed_languages=info.mixed_languages,
            word_time_offsets=info.word_time_offsets,
            phrase_biasing=info.phrase_biasing,
            context_biasing=info.context_biasing,
        )

    def _step(self, steps: Sequence[Step]) -> Sequence[Sequence[Transcript]]:
        return self._host.engine.step(steps)

    async def _acknowledge(
        self, call: StreamCall[Request, Response], session: Session, options: RecognitionOptions
    ) -> None:
        info = self._host.info
        outcomes = {outcome.field: outcome for outcome in common_outcomes(options, info)}
        # An engine knows better than what holds for all of them, such as how several languages are taken.
        outcomes.update({outcome.field: outcome for outcome in session.outcomes})
        await call.send(Response(ready=self._host.ready(outcomes.values())))

    async def _recognize(
        self,
        call: StreamCall[Request, Response],
        session: Session,
        options: RecognitionOptions,
        model_input: ModelInput,
    ) -> None:
        info = self._host.info
        rate = info.sample_rate_hertz
        inbox = Inbox(round(info.step_s * rate), round(self._settings.max_pending_audio_s * rate))
        recognition = Recognition(call, session, self._batcher, self._host, options)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(recognition.run(inbox))
            await _receive(call, model_input, inbox)


async def _receive(call: StreamCall[Request, Response], model_input: ModelInput, inbox: Inbox) -> None:
    """Move the caller's messages to the inbox; half-close finalizes what is open."""
    is_open = False
    async for kind, request in call:
        match kind:
            case "audio":
                await inbox.put_audio(model_input.feed(request.audio))
                is_open = True
            case "finalize":
                finalize = Finalize(trace_context=request.finalize.trace_context)
                await inbox.put_audio(model_input.flush())
                await inbox.put(finalize)
                is_open = False
            case _:
                model_input.flush()
                await inbox.put(Discard())
                is_open = False
    if is_open:
        await inbox.put_audio(model_input.flush())
        await inbox.put(Finalize())
    await inbox.close()
