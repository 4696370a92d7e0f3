"""A service without a model, on which the runtime itself is tested: `python -m voxmesh_testing.toy --help`.

Each text is "embedded" as its length. The text `fail` breaks its batch with an unknown error,
`group` ends its stream from within a task group, `flood` is answered without end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Literal

import grpc
from pydantic import Field
from pydantic_settings import CliApp

from voxmesh.common.v1 import common_pb2
from voxmesh.embed.v1 import embed_pb2, embed_pb2_grpc
from voxmesh_runtime import names
from voxmesh_runtime.batcher import Batcher
from voxmesh_runtime.clock import WorkClock
from voxmesh_runtime.commands import one_line_errors
from voxmesh_runtime.errors import FailedPrecondition, InvalidArgument, NotFound
from voxmesh_runtime.models import ModelError
from voxmesh_runtime.outcomes import ready
from voxmesh_runtime.server import serve
from voxmesh_runtime.settings import ServerSettings
from voxmesh_runtime.streams import AnyContext, StreamCall, Streams
from voxmesh_runtime.telemetry import work_span
from voxmesh_runtime.thread import ModelThread

Request = embed_pb2.StreamingEmbedRequest
Response = embed_pb2.StreamingEmbedResponse
InfoRequest = embed_pb2.GetModelInfoRequest
InfoResponse = embed_pb2.GetModelInfoResponse
Call = StreamCall[Request, Response]

LOAD_ERRORS = {
    "typed": NotFound("engine", "toy", "engine 'toy' is not installed"),
    "model": ModelError("the model is not on this machine;\nfetch it first"),
    "unknown": ZeroDivisionError("a bug in the load"),
}


class ToySettings(ServerSettings):
    """Settings of the toy."""

    load_s: float = Field(default=0.0, ge=0)
    """Time in seconds for which the load blocks the worker's thread."""
    load_until: Path | None = None
    """File for which the load waits, too."""
    load_error: Literal["none", "typed", "model", "unknown"] = "none"
    """How the load fails."""


class ToyService(embed_pb2_grpc.EmbeddingServiceServicer):
    """See `voxmesh_runtime.server.Service`."""

    names = (embed_pb2.DESCRIPTOR.services_by_name["EmbeddingService"].full_name,)

    def __init__(self, settings: ToySettings) -> None:
        self.streams = Streams(settings)
        self.received = 0
        """Batches taken from all streams."""
        self.sent = 0
        """Answers of floods that the transport has taken."""
        self.pause = asyncio.Event()
        """Streams take their next message while this is set."""
        self.pause.set()
        self._settings = settings
        self._batcher = Batcher[Sequence[str], list[int]](ModelThread("toy"), _lengths)

    def register(self, server: grpc.aio.Server) -> None:
        """Add the servicer."""
        embed_pb2_grpc.add_EmbeddingServiceServicer_to_server(self, server)

    async def start(self) -> None:
        """Load as slowly and as badly as the settings say."""
        await self._batcher.thread.call(self._load)
        if self._settings.load_error != "none":
            raise LOAD_ERRORS[self._settings.load_error]

    async def stop(self) -> None:
        """End the thread."""
        await self._batcher.thread.close()

    async def StreamingEmbed(  # noqa: N802 # pyright: ignore[reportIncompatibleMethodOverride] # grpc.aio takes coroutines too
        self, request_iterator: AsyncIterator[Request], context: AnyContext
    ) -> None:
        """Answer each batch."""
        async with self.streams.open(request_iterator, context, Response) as call:
            await call.config()
            await call.send(Response(ready=ready("toy", "toy", self._settings.host_name, ())))
            async for _, request in call:
                self.received += 1
                await self._answer(call, request.batch)
                await self.pause.wait()

    async def StreamingRerank(  # noqa: N802 # pyright: ignore[reportIncompatibleMethodOverride] # grpc.aio takes coroutines too
        self, request_iterator: object, context: AnyContext
    ) -> None:
        """Refuse: there is nothing to rank by."""
        del request_iterator, context
        raise FailedPrecondition("model", "toy", "the toy ranks nothing")

    async def GetModelInfo(self, request: InfoRequest, context: AnyContext) -> InfoResponse:  # noqa: N802 # contract's name
        """Describe the toy."""
        del request, context
        return InfoResponse(model_info=common_pb2.ModelInfo(model="toy", engine="toy"), dimensions=1)

    def _load(self) -> None:
        time.sleep(self._settings.load_s)
        while self._settings.load_until is not None and not self._settings.load_until.exists():
            time.sleep(0.01)

    async def _answer(self, call: Call, batch: embed_pb2.TextBatch) -> None:
        match batch.texts[0]:
            case "group":
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(_refuse())
                    await asyncio.sleep(60)
            case "flood":
                while True:
                    await call.send(_answered(batch, [0] * 4096, WorkClock.start()))
                    self.sent += 1
            case _:
                clock = WorkClock.start()
                with work_span(names.SPAN_EMBED, batch.trace_context, clock):
                    done = await self._batcher.run(batch.texts)
                    clock.worked(done.started_ns, done.compute_s, done.queued_s, done.batch_size)
                await call.send(_answered(batch, done.result, clock))


def _lengths(batches: Sequence[Sequence[str]]) -> list[list[int]]:
    if any("fail" in texts for texts in batches):
        raise ValueError("a secret of the server")
    return [[len(text) for text in texts] for texts in batches]


def _answered(batch: embed_pb2.TextBatch, lengths: Sequence[int], clock: WorkClock) -> Response:
    embeddings = [embed_pb2.Embedding(values=[length]) for length in lengths]
    timing = clock.to_proto()
    return Response(batch=embed_pb2.EmbeddingBatch(batch_id=batch.batch_id, embeddings=embeddings, timing=timing))


async def _refuse() -> None:
    raise InvalidArgument("batch.texts[0]", "must not be 'group'")


@one_line_errors()
def main() -> None:
    """Wire settings, servicer and server."""
    settings = CliApp.run(ToySettings)
    serve(ToyService(settings), settings, "toy")


if __name__ == "__main__":
    main()
