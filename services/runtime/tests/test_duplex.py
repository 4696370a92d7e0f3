"""A call that is cancelled ends those who use it with `CallOver`, not with a cancellation of their own."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from voxmesh.embed.v1 import embed_pb2, embed_pb2_grpc
from voxmesh_runtime.channels import open_plain_channel
from voxmesh_runtime.duplex import CallOver, DuplexCall
from voxmesh_runtime.server import running
from voxmesh_testing.toy import ToyService, ToySettings

pytestmark = pytest.mark.unit


async def test_a_cancelled_call_is_over_for_reader_and_writer() -> None:
    settings = ToySettings()
    async with (
        running(ToyService(settings), settings) as server,
        open_plain_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        call = embed_pb2_grpc.EmbeddingServiceStub(channel).StreamingEmbed()
        duplex = DuplexCall(call)
        reading = asyncio.create_task(duplex.read())
        await asyncio.sleep(0.1)
        call.cancel()
        with pytest.raises(CallOver) as read:
            await reading
        with pytest.raises(CallOver) as written:
            await duplex.write(embed_pb2.StreamingEmbedRequest())
    for over in (read.value, written.value):
        assert over.status is not None
        assert over.status.code() is grpc.StatusCode.CANCELLED


async def test_a_reader_that_is_cancelled_itself_stays_cancelled() -> None:
    settings = ToySettings()
    async with (
        running(ToyService(settings), settings) as server,
        open_plain_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        duplex = DuplexCall(embed_pb2_grpc.EmbeddingServiceStub(channel).StreamingEmbed())
        reading = asyncio.create_task(duplex.read())
        await asyncio.sleep(0.1)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
