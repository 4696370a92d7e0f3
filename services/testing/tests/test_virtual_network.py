"""gRPC in memory behaves as the real one where callers rely on it: order, windows, statuses, links that break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from voxmesh.turn.v1 import turn_pb2, turn_pb2_grpc
from voxmesh_runtime.duplex import CallOver, DuplexCall
from voxmesh_runtime.errors import Unavailable
from voxmesh_testing.streams import details, exchange
from voxmesh_testing.virtual.network import KEEPALIVE_S, Network

pytestmark = pytest.mark.virtual

Request = turn_pb2.StreamingDetectRequest
Response = turn_pb2.StreamingDetectResponse
AUDIO = Request(audio=b"\0\0")


class Echo(turn_pb2_grpc.TurnDetectionServiceServicer):
    """Answers each message by one; a config breaks the stream after some answers."""

    def __init__(self) -> None:
        self.taken = 0
        self.is_over = False
        self.waits = asyncio.Event()

    async def StreamingDetect(  # noqa: N802 # pyright: ignore[reportIncompatibleMethodOverride] # the contract's name
        self, request_iterator: AsyncIterator[Request], context: Any
    ) -> None:
        try:
            async for request in request_iterator:
                self.taken += 1
                for _ in range(3 if request.HasField("config") else 1):
                    await context.write(Response(end_of_turn=turn_pb2.EndOfTurn(probability=0.5)))
                if request.HasField("config"):
                    raise Unavailable("it broke")
        finally:
            self.is_over = True

    async def GetModelInfo(  # noqa: N802 # pyright: ignore[reportIncompatibleMethodOverride] # the contract's name
        self, request: turn_pb2.GetModelInfoRequest, context: Any
    ) -> turn_pb2.GetModelInfoResponse:
        del request, context
        await self.waits.wait()
        return turn_pb2.GetModelInfoResponse(semantic_end_of_turn=True)


def echo_at(network: Network, name: str) -> Echo:
    """Serve it."""
    servicer = Echo()
    network.serve(name, partial(turn_pb2_grpc.add_TurnDetectionServiceServicer_to_server, servicer))
    return servicer


def stub(network: Network, target: str = "a") -> turn_pb2_grpc.TurnDetectionServiceStub:
    return turn_pb2_grpc.TurnDetectionServiceStub(network.channel(target))


async def test_answers_that_are_there_come_before_the_status_and_its_details() -> None:
    network = Network()
    echo_at(network, "a")
    async with exchange(stub(network).StreamingDetect, AUDIO, Request(config=turn_pb2.TurnDetectionConfig())) as stream:
        await asyncio.sleep(1)
        error = await stream.failure()
    assert len(stream.seen) == 4
    assert (error.code(), error.details()) == (grpc.StatusCode.UNAVAILABLE, "it broke")
    assert [type(detail) for detail in details(error)] == [error_details_pb2.RetryInfo]


async def test_a_stream_that_is_half_closed_ends_well() -> None:
    network = Network()
    echo_at(network, "a")
    async with exchange(stub(network).StreamingDetect, AUDIO, AUDIO) as stream:
        await stream.half_close()
        assert len(await stream.rest()) == 2


async def test_nobody_there_is_unavailable_unless_it_is_waited_for() -> None:
    network = Network()
    async with exchange(stub(network).StreamingDetect, AUDIO) as stream:
        error = await stream.failure()
    waiting = DuplexCall(stub(network).StreamingDetect(wait_for_ready=True))
    asyncio.get_running_loop().call_later(30, echo_at, network, "a")
    await waiting.wait_for_connection()
    assert error.code() is grpc.StatusCode.UNAVAILABLE


async def test_writing_waits_while_the_other_end_reads_nothing() -> None:
    network = Network()
    echo_at(network, "a")
    call = DuplexCall(stub(network).StreamingDetect())

    async def write_for_ever() -> None:
        while True:
            await call.write(Request(audio=bytes(20_000)))

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(write_for_ever(), 60)


@pytest.mark.parametrize("how", ["kill", "cut"])
async def test_a_link_that_is_lost_ends_both_ends(how: str) -> None:
    network = Network()
    servicer = echo_at(network, "a")
    async with exchange(stub(network).StreamingDetect, AUDIO) as stream:
        await stream.next()
        getattr(network, how)("a")
        error = await stream.failure()
        await asyncio.sleep(0.1)
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert servicer.is_over


async def test_a_silent_link_is_given_up_after_a_while_and_new_ones_work() -> None:
    network, loop = Network(), asyncio.get_running_loop()
    servicer = echo_at(network, "a")
    async with exchange(stub(network).StreamingDetect, AUDIO) as stream:
        await stream.next()
        network.fall_silent("a")
        began_at = loop.time()
        await stream.send(AUDIO)
        async with exchange(stub(network).StreamingDetect, AUDIO) as other:
            await other.next()
        taken, error = servicer.taken, await stream.failure()
    assert taken == 2
    assert loop.time() - began_at == pytest.approx(KEEPALIVE_S)
    assert error.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_call_that_is_cancelled_ends_its_handler() -> None:
    network = Network()
    servicer = echo_at(network, "a")
    call = DuplexCall(stub(network).StreamingDetect())
    await call.write(AUDIO)
    await call.read()
    call.cancel()
    with pytest.raises(CallOver):
        await call.write(AUDIO)
    await asyncio.sleep(0.1)
    assert servicer.is_over


async def test_a_unary_call_has_an_answer_or_runs_out_of_time() -> None:
    network = Network()
    servicer = echo_at(network, "a")
    with pytest.raises(grpc.aio.AioRpcError) as late:
        await stub(network).GetModelInfo(turn_pb2.GetModelInfoRequest(), timeout=2)
    servicer.waits.set()
    answer: Any = await stub(network).GetModelInfo(turn_pb2.GetModelInfoRequest(), timeout=2)
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert answer.semantic_end_of_turn


async def test_calls_go_to_the_first_address_that_serves_and_an_address_may_lead_elsewhere() -> None:
    network = Network()
    first, second = echo_at(network, "a"), echo_at(network, "b")
    one = stub(network, "a,b")
    network.kill("a")
    async with exchange(one.StreamingDetect, AUDIO) as stream:
        await stream.next()
    network.lead("c", "b")
    async with exchange(stub(network, "c").StreamingDetect, AUDIO) as stream:
        await stream.next()
    assert (first.taken, second.taken) == (0, 2)
