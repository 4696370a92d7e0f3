"""The gRPC side of turn detection: audio in, starts, stops and judgements out, whatever the engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import grpc

from voxmesh.common.v1 import common_pb2
from voxmesh.turn.v1 import turn_pb2, turn_pb2_grpc
from voxmesh_runtime.audio import AudioFormat, ModelInput, Samples
from voxmesh_runtime.batcher import Batcher
from voxmesh_runtime.outcomes import applied, ignored
from voxmesh_runtime.streams import AnyContext, Streams
from voxmesh_runtime.thread import PATIENT_NICENESS, ModelThread, give_way
from voxmesh_turn.detection import Detection
from voxmesh_turn.engine import DetectionOptions, Host, Session, WordJudge
from voxmesh_turn.options import detection_options
from voxmesh_turn.pause import Judge, Request, Response
from voxmesh_turn.settings import TurnSettings
from voxmesh_turn.words import WordBatcher

InfoRequest = turn_pb2.GetModelInfoRequest
InfoResponse = turn_pb2.GetModelInfoResponse

TRANSCRIPTS = "config.transcripts"
SOUND_ALONE = "the engine judges by sound alone"


class TurnService(turn_pb2_grpc.TurnDetectionServiceServicer):
    """Serves one engine; see `voxmesh_runtime.server.Service`."""

    names = (turn_pb2.DESCRIPTOR.services_by_name["TurnDetectionService"].full_name,)

    def __init__(self, host: Host, settings: TurnSettings) -> None:
        self.streams = Streams(settings)
        self._host = host
        self._batcher = Batcher[Samples, float](host.thread, self._judge)
        self._words: tuple[WordJudge, WordBatcher] | None = None

    def register(self, server: grpc.aio.Server) -> None:
        """Add the servicer."""
        turn_pb2_grpc.add_TurnDetectionServiceServicer_to_server(self, server)

    async def start(self) -> None:
        """Load and warm up the models."""
        await self._host.start()
        self._batcher.max_batch_size = self._host.info.max_batch_size
        judge = self._host.engine.words
        if judge is not None:
            # Where words are judged those decide, and the models that find and answer them go first.
            await self._host.thread.call(lambda: give_way(PATIENT_NICENESS))
            self._words = judge, WordBatcher(ModelThread("words"), judge.judge)
            await self._words[1].thread.call(judge.load)
            await self._words[1].thread.call(judge.warm_up)

    async def stop(self) -> None:
        """Free the models."""
        if self._words is not None:
            judge, batcher = self._words
            batcher.thread.post(judge.close)
            await batcher.thread.close()
        await self._host.stop()

    async def StreamingDetect(  # pyright: ignore[reportIncompatibleMethodOverride] # grpc.aio takes coroutines too
        self, request_iterator: AsyncIterator[Request], context: AnyContext
    ) -> None:
        """Watch one stream."""
        async with self.streams.open(request_iterator, context, Response) as call:
            config = (await call.config()).config
            info = self._host.info
            options = detection_options(config)
            model_input = ModelInput(AudioFormat.from_proto(config.audio_format), info.sample_rate_hertz)
            async with self._host.using():
                session = await asyncio.to_thread(self._host.engine.open, options)
                try:
                    await call.send(Response(ready=self._ready(session, options)))
                    judge = Judge(self._batcher, self._host, self._words if options.transcripts else None)
                    await Detection(call, session, judge, model_input).run()
                finally:
                    session.close()

    async def GetModelInfo(self, request: InfoRequest, context: AnyContext) -> InfoResponse:
        """Describe the loaded models."""
        del request, context
        info = self._host.info
        return InfoResponse(
            model_info=self._host.model_info(self.streams),
            semantic_end_of_turn=info.semantic_end_of_turn,
            judges_transcripts=self._words is not None,
        )

    def _judge(self, turns: Sequence[Samples]) -> Sequence[float]:
        return self._host.engine.judge(turns)

    def _ready(self, session: Session, options: DetectionOptions) -> common_pb2.Ready:
        outcomes = list(session.outcomes)
        if options.transcripts:
            outcomes.append(ignored(TRANSCRIPTS, SOUND_ALONE) if self._words is None else applied(TRANSCRIPTS))
        return self._host.ready(outcomes)
