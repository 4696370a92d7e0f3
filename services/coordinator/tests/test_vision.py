"""Which of several backends looks at a turn's pictures."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest

from voxmesh.common.v1 import common_pb2
from voxmesh.vlm.v1 import vlm_pb2, vlm_pb2_grpc
from voxmesh_coordinator.registry import BackendRegistry
from voxmesh_coordinator.reply.vision import look
from voxmesh_coordinator.settings import CoordinatorSettings
from voxmesh_routing.call_timing import UpstreamCallTiming
from voxmesh_routing.failures import ServiceFailed

pytestmark = pytest.mark.unit

Response = vlm_pb2.StreamingAnalyzeResponse


class Reads(vlm_pb2_grpc.VisionLanguageServiceServicer):
    """Reads one line, or refuses."""

    def __init__(self, answer: str | grpc.StatusCode) -> None:
        self._answer = answer

    async def GetModelInfo(self, request: Any, context: Any) -> vlm_pb2.GetModelInfoResponse:  # noqa: N802 # the contract's name
        del request, context
        return vlm_pb2.GetModelInfoResponse(tasks=[vlm_pb2.Analyze.TASK_READ_TEXT])

    async def StreamingAnalyze(self, request_iterator: AsyncIterator[Any], context: Any) -> AsyncIterator[Response]:  # noqa: N802 # as above
        async for _ in request_iterator:
            pass
        if isinstance(self._answer, grpc.StatusCode):
            await context.abort(self._answer, "no")
        yield Response(text_line=vlm_pb2.TextLine(text=str(self._answer)))
        yield Response(finished=vlm_pb2.Finished())


async def seen(*answers: str | grpc.StatusCode) -> tuple[str, list[bool]]:
    """What is said of a picture by backends that answer so, and which of them are well after it."""
    async with AsyncExitStack() as stack:
        targets: list[str] = []
        for answer in answers:
            server = grpc.aio.server()
            vlm_pb2_grpc.add_VisionLanguageServiceServicer_to_server(Reads(answer), server)
            targets.append(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
            await server.start()
            stack.push_async_callback(server.stop, None)
        settings = CoordinatorSettings(vlm_backends=[{"target": target} for target in targets])  # pyright: ignore[reportArgumentType] # as the operator writes them
        services = BackendRegistry(settings)
        stack.push_async_callback(services.close)
        said = await look(services, [b"picture"], "What is it?", UpstreamCallTiming, common_pb2.TraceContext())
        return said, [backend.is_well for backend in services.vlm.backends]


async def test_a_backend_that_does_not_read_the_script_is_followed_by_the_next_and_stays_well() -> None:
    said, well = await seen(grpc.StatusCode.UNIMPLEMENTED, "ನಮಸ್ಕಾರ")
    assert said == '(The picture shows the text: "ನಮಸ್ಕಾರ")'
    assert well == [True, True]


async def test_a_backend_that_breaks_is_followed_by_the_next_and_left() -> None:
    said, well = await seen(grpc.StatusCode.INTERNAL, "hello")
    assert said == '(The picture shows the text: "hello")'
    assert well == [False, True]


@pytest.mark.parametrize("code", [grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INVALID_ARGUMENT])
async def test_what_none_can_do_is_told(code: grpc.StatusCode) -> None:
    with pytest.raises(ServiceFailed, match="no") as failed:
        await seen(code, grpc.StatusCode.UNIMPLEMENTED)
    assert failed.value.code == code


async def test_a_picture_that_is_none_is_asked_about_once() -> None:
    with pytest.raises(ServiceFailed, match="no") as failed:
        await seen(grpc.StatusCode.INVALID_ARGUMENT, "hello")
    assert failed.value.code == grpc.StatusCode.INVALID_ARGUMENT
