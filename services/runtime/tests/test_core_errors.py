"""Errors as a caller sees them: status, details, and never a text that was not meant for it."""

from __future__ import annotations

import logging
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from voxmesh.embed.v1 import embed_pb2, embed_pb2_grpc
from voxmesh.stt.v1 import stt_pb2, stt_pb2_grpc
from voxmesh_runtime import errors
from voxmesh_testing.streams import details, exchange, serving
from voxmesh_testing.toy import Request, ToyService, ToySettings

pytestmark = pytest.mark.unit

CONFIG = Request(config=embed_pb2.EmbeddingConfig())


def batch(*texts: str) -> Request:
    return Request(batch=embed_pb2.TextBatch(texts=texts))


def toy() -> tuple[ToyService, ToySettings]:
    settings = ToySettings()
    return ToyService(settings), settings


@pytest.mark.parametrize(
    ("error", "code", "detail"),
    [
        (errors.InvalidArgument("a.b", "is 3; at most 2"), "INVALID_ARGUMENT", error_details_pb2.BadRequest),
        (errors.FailedPrecondition("model", "x", "not loaded"), "FAILED_PRECONDITION", error_details_pb2.ResourceInfo),
        (errors.NotFound("voice", "x", "no voice 'x'"), "NOT_FOUND", error_details_pb2.ResourceInfo),
        (errors.Unimplemented("clone", "cannot", ["y", "z"]), "UNIMPLEMENTED", error_details_pb2.ErrorInfo),
        (errors.Overloaded("full", 0.25), "RESOURCE_EXHAUSTED", error_details_pb2.RetryInfo),
        (errors.Unavailable("loads"), "UNAVAILABLE", error_details_pb2.RetryInfo),
        (errors.TimedOut("no config"), "DEADLINE_EXCEEDED", None),
        (errors.VoxmeshError("broken"), "INTERNAL", None),
    ],
)
def test_each_error_has_its_status_and_details(
    error: errors.VoxmeshError, code: str, detail: type[Message] | None
) -> None:
    status = error.to_proto()
    assert status.code == getattr(grpc.StatusCode, code).value[0]
    assert status.message == str(error) == error.message
    assert [packed.TypeName().rsplit(".", 1)[-1] for packed in status.details] == (
        [detail.DESCRIPTOR.name] if detail is not None else []
    )


def unpacked(error: errors.VoxmeshError, detail: Any) -> Any:  # any message
    assert error.to_proto().details[0].Unpack(detail)
    return detail


def test_details_say_what_a_program_needs() -> None:
    bad = unpacked(errors.InvalidArgument("a.b", "is 3; at most 2"), error_details_pb2.BadRequest())
    assert (bad.field_violations[0].field, bad.field_violations[0].description) == ("a.b", "is 3; at most 2")
    retry = unpacked(errors.Overloaded("full", 0.25), error_details_pb2.RetryInfo())
    assert retry.retry_delay.ToMilliseconds() == 250
    info = unpacked(errors.Unimplemented("clone", "cannot", ["y", "z"]), error_details_pb2.ErrorInfo())
    assert (info.domain, dict(info.metadata)) == ("voxmesh", {"feature": "clone", "engines": "y,z"})
    resource = unpacked(errors.NotFound("voice", "x", "no voice 'x'"), error_details_pb2.ResourceInfo())
    assert (resource.resource_type, resource.resource_name) == ("voice", "x")


def test_a_group_is_explained_by_its_first_typed_leaf() -> None:
    typed = errors.NotFound("voice", "x", "none")
    first = ValueError("first")
    assert errors.first_error(ExceptionGroup("", [first, ExceptionGroup("", [typed])])) is typed
    assert errors.first_error(BaseExceptionGroup("", [first, KeyboardInterrupt()])) is first
    assert errors.first_error(first) is first


async def test_an_error_inside_a_task_group_reaches_the_caller_as_itself() -> None:
    async with serving(*toy()) as (channel, _):
        method = embed_pb2_grpc.EmbeddingServiceStub(channel).StreamingEmbed
        async with exchange(method, CONFIG, batch("group")) as stream:
            error = await stream.failure()
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert error.details() == "batch.texts[0]: must not be 'group'"
    assert [type(detail) for detail in details(error)] == [error_details_pb2.BadRequest]


async def test_an_unknown_error_is_internal_tells_nothing_and_spares_the_neighbour(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(*toy()) as (channel, _):
        method = embed_pb2_grpc.EmbeddingServiceStub(channel).StreamingEmbed
        async with exchange(method, CONFIG, batch("well")) as neighbour:
            await neighbour.until("batch")
            with caplog.at_level(logging.ERROR):
                async with exchange(method, CONFIG, batch("fail")) as stream:
                    error = await stream.failure()
            await neighbour.send(batch("still well"))
            await neighbour.until("batch")
    assert error.code() == grpc.StatusCode.INTERNAL
    assert "secret" not in repr(error)
    assert "a secret of the server" in caplog.text


async def test_a_service_that_is_not_here_is_unimplemented() -> None:
    async with serving(*toy()) as (channel, _):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stt_pb2_grpc.SpeechToTextServiceStub(channel).GetModelInfo(stt_pb2.GetModelInfoRequest())
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


NO_MESSAGE = b"\xff\xff\xff"


async def test_bytes_that_are_no_message_are_refused_in_a_call_and_in_a_stream() -> None:
    path = f"/{ToyService.names[0]}"
    async with serving(*toy()) as (channel, _):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(f"{path}/GetModelInfo")(NO_MESSAGE)
        stream = channel.stream_stream(f"{path}/StreamingEmbed")()
        await stream.write(NO_MESSAGE)
        assert await stream.code() == grpc.StatusCode.INVALID_ARGUMENT
        info = await embed_pb2_grpc.EmbeddingServiceStub(channel).GetModelInfo(embed_pb2.GetModelInfoRequest())
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "no message of this method" in str(caught.value.details())
    assert info.dimensions == 1
