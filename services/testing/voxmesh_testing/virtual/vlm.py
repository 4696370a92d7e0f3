"""A vision-language model that says of every picture what it was told to say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from voxmesh.vlm.v1 import vlm_pb2, vlm_pb2_grpc
from voxmesh_runtime.settings import ServerSettings
from voxmesh_runtime.streams import AnyContext
from voxmesh_testing.virtual.service import FakeService

Request = vlm_pb2.StreamingAnalyzeRequest
Response = vlm_pb2.StreamingAnalyzeResponse


class FakeVision(vlm_pb2_grpc.VisionLanguageServiceServicer, FakeService):
    """Serves pictures."""

    def __init__(self, host: str = "somewhere", engine: str = "eye", settings: ServerSettings | None = None) -> None:
        FakeService.__init__(self, engine, host, settings=settings)
        self.sees = "a cat"
        """What every picture shows."""
        self.look_s = 0.3
        """Time to look, in seconds."""
        self.asked: list[str] = []
        """The question of each analysis."""

    def register(self, server: Any) -> None:
        """Add it to a server."""
        vlm_pb2_grpc.add_VisionLanguageServiceServicer_to_server(self, server)

    async def StreamingAnalyze(  # noqa: N802 # pyright: ignore[reportIncompatibleMethodOverride] # the contract's name
        self, request_iterator: AsyncIterator[Request], context: AnyContext
    ) -> None:
        """Answer about the pictures of one stream."""
        async with self.stream(request_iterator, context, Response) as (call, _):
            self.check_model((await call.config()).config.model)
            await call.send(Response(ready=self.ready()))
            index = 0
            async for kind, request in call:
                if kind != "analyze":
                    continue
                work = self.work()
                work.start()
                self.asked.append(request.analyze.prompt)
                await self.works(self.look_s)
                work.output()
                await call.send(Response(text_delta=vlm_pb2.TextDelta(analysis_index=index, text=self.sees)))
                await call.send(Response(finished=vlm_pb2.Finished(analysis_index=index, timing=work.timing())))
                index += 1

    async def GetModelInfo(  # noqa: N802 # pyright: ignore[reportIncompatibleMethodOverride] # the contract's name
        self, request: vlm_pb2.GetModelInfoRequest, context: AnyContext
    ) -> vlm_pb2.GetModelInfoResponse:
        """Describe it."""
        del request, context
        return vlm_pb2.GetModelInfoResponse(model_info=self.model_info(), tasks=[vlm_pb2.Analyze.TASK_ANSWER])
