"""The gRPC side of turn detection: audio in, starts, stops and judgements out, whatever the engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc

from voxmesh.common.v1 import common_pb2
from voxmesh.turn.v1 import turn_pb2, turn_pb2_grpc
from voxmesh_runtime.audio import AudioFormat, ModelInput, Samples
from voxmesh_runtime.outcomes import applied, ignored, ready
from voxmesh_runtime.streams import AnyContext, Streams
from voxmesh_runtime.thread import NICENESS, PATIENT_NICENESS
from voxmesh_runtime.worker import Worker
from voxmesh_turn.detection import Detection
from voxmesh_turn.engine import DetectionOptions, Engine, Session
from voxmesh_turn.options import detection_options
from voxmesh_turn.pause import Judge, Request, Response
from voxmesh_turn.settings import TurnSettings
from voxmesh_turn.words import WordWorker

InfoRequest = turn_pb2.GetModelInfoRequest
InfoResponse = turn_pb2.GetModelInfoResponse

TRANSCRIPTS = "config.transcripts"
SOUND_ALONE = "the engine judges by sound alone"


class TurnService(turn_pb2_grpc.TurnDetectionServiceServicer):
    """Serves one engine; see `voxmesh_runtime.server.Service`."""

    names = (turn_pb2.DESCRIPTOR.services_by_name["TurnDetectionService"].full_name,)

    def __init__(self, engine: Engine, settings: TurnSettings) -> None:
        self.streams = Streams(settings)
        self._engine = engine
        self._settings = settings
        words = engine.words
        # Where words are judged those decide, and the models that find and answer them go first.
        niceness = NICENESS if words is None else PATIENT_NICENESS
        self._worker = Worker[Samples, float](engine.judge, name="turn", niceness=niceness)
        self._words = None if words is None else (words, WordWorker(words.judge, name="words"))

    def register(self, server: grpc.aio.Server) -> None:
        """Add the servicer."""
        turn_pb2_grpc.add_TurnDetectionServiceServicer_to_server(self, server)

    async def start(self) -> None:
        """Load and warm up the models on their worker."""
        await self._worker.load(self._engine)
        if self._words is not None:
            judge, worker = self._words
            await worker.load(judge)
        self._worker.max_batch_size = self._engine.info.max_batch_size

    async def stop(self) -> None:
        """Free the models."""
        if self._words is not None:
            judge, worker = self._words
            await worker.free(judge)
        await self._worker.free(self._engine)

    async def StreamingDetect(  # pyright: ignore[reportIncompatibleMethodOverride] # grpc.aio takes coroutines too
        self, request_iterator: AsyncIterator[Request], context: AnyContext
    ) -> None:
        """Watch one stream."""
        async with self.streams.open(request_iterator, context, Response) as call:
            config = (await call.config()).config
            info = self._engine.info
            options = detection_options(config)
            model_input = ModelInput(AudioFormat.from_proto(config.audio_format), info.sample_rate_hertz)
            # Not on the worker: a new stream need not wait for the judgements of others.
            session = await asyncio.to_thread(self._engine.open, options)
            try:
                await call.send(Response(ready=self._ready(session, options)))
                judge = Judge(self._worker, info, self._words if options.transcripts else None)
                await Detection(call, session, judge, model_input).run()
            finally:
                session.close()

    async def GetModelInfo(self, request: InfoRequest, context: AnyContext) -> InfoResponse:
        """Describe the loaded models."""
        del request, context
        info = self._engine.info
        return InfoResponse(
            model_info=info.facts.to_proto(self.streams),
            semantic_end_of_turn=info.semantic_end_of_turn,
            judges_transcripts=self._words is not None,
        )

    def _ready(self, session: Session, options: DetectionOptions) -> common_pb2.Ready:
        facts, outcomes = self._engine.info.facts, list(session.outcomes)
        if options.transcripts:
            outcomes.append(ignored(TRANSCRIPTS, SOUND_ALONE) if self._words is None else applied(TRANSCRIPTS))
        return ready(facts.model, facts.engine, self._settings.host_name, outcomes)
