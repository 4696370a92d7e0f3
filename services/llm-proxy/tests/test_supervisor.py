"""Our own llama.cpp server: it comes back when it dies, stops what is cancelled, and never outlives the service."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

import grpc
import psutil
import pytest
import uvloop
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from voxmesh.llm.v1 import llm_pb2, llm_pb2_grpc
from voxmesh_llm_proxy.endpoint import Address
from voxmesh_llm_proxy.servicer import LlmService
from voxmesh_llm_proxy.settings import LlmSettings
from voxmesh_llm_proxy.supervisor import LlamaCpp, hand_over_key
from voxmesh_runtime.channels import open_plain_channel
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.ports import free_block
from voxmesh_runtime.server import running
from voxmesh_testing.llm import LONG, cancel, generate
from voxmesh_testing.service import FREED_WITHIN_S
from voxmesh_testing.streams import Exchange, details, exchange, serving, wait_until

pytestmark = pytest.mark.engine

Request = llm_pb2.StreamingGenerateRequest
Finished = llm_pb2.Finished
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
OPENING = Request(config=llm_pb2.GenerationConfig())


@asynccontextmanager
async def supervised() -> AsyncGenerator[tuple[Exchange[Any, Any], LlamaCpp]]:
    settings = LlmSettings(concurrency=1)
    server = LlamaCpp(settings)
    async with serving(LlmService(server, settings), settings) as (channel, _):
        method = llm_pb2_grpc.LanguageModelServiceStub(channel).StreamingGenerate
        async with exchange(method, OPENING) as stream:  # pyright: ignore[reportArgumentType] # untyped stub
            await stream.until("ready")
            yield stream, server


def busy_slots(address: Address) -> int:
    url = f"{address.url.removesuffix('/v1')}/slots"
    with urlopen(HttpRequest(url, headers={"Authorization": f"Bearer {address.api_key}"})) as answer:  # noqa: S310 # loopback
        return sum(slot["is_processing"] for slot in json.load(answer))


async def free_within_a_second(address: Address) -> bool:
    for _ in range(round(FREED_WITHIN_S / 0.05)):
        if await asyncio.to_thread(busy_slots, address) == 0:
            return True
        await asyncio.sleep(0.05)
    return False


async def test_llama_cpp_stops_writing_when_a_generation_is_cancelled_and_when_the_client_vanishes() -> None:
    async with supervised() as (stream, server):
        address = await server.address()
        await stream.send(generate(LONG))
        await stream.until("text_delta")
        assert await asyncio.to_thread(busy_slots, address) == 1
        await stream.send(cancel())
        assert (await stream.until("finished")).reason == Finished.REASON_CANCELLED
        assert await free_within_a_second(address)
        await stream.send(generate(LONG))
        await stream.until("text_delta")
        assert await asyncio.to_thread(busy_slots, address) == 1
        stream.call.cancel()
        assert await free_within_a_second(address)


async def test_health_tells_the_outage_of_a_server_that_is_killed_and_the_next_stream_after_it_is_answered() -> None:
    async with unbalanced() as (channel, server):
        method = llm_pb2_grpc.LanguageModelServiceStub(channel).StreamingGenerate
        killed = server.pid
        async with statuses(channel, "") as whole, statuses(channel, LlmService.names[0]) as own:
            assert [await whole(), await own()] == [SERVING, SERVING]
            kill(server)
            assert [await whole(), await own()] == [NOT_SERVING, NOT_SERVING]
            assert [await whole(), await own()] == [SERVING, SERVING]
        assert server.pid != killed
        async with exchange(method, OPENING, generate("Hi.")) as stream:  # pyright: ignore[reportArgumentType] # untyped stub
            finished = await stream.until("finished")
        assert finished.reason in {Finished.REASON_STOP, Finished.REASON_LENGTH}


async def test_while_a_server_is_away_streams_and_generations_are_refused_at_once_with_a_time_to_retry() -> None:
    async with unbalanced() as (channel, server):
        method = llm_pb2_grpc.LanguageModelServiceStub(channel).StreamingGenerate
        async with exchange(method, OPENING) as before, statuses(channel, "") as health:  # pyright: ignore[reportArgumentType] # untyped stub
            await before.until("ready")
            assert await health() == SERVING
            kill(server)
            assert await health() == NOT_SERVING
            await before.send(generate("Hi."))
            async with exchange(method, OPENING) as after:  # pyright: ignore[reportArgumentType] # untyped stub
                refused = [await before.failure(), await after.failure()]
    for error in refused:
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert "restarted" in str(error.details())
        assert [type(detail) for detail in details(error)] == [error_details_pb2.RetryInfo]


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_server_that_dies_before_it_has_its_key_is_no_reason_to_stop_caring(run: Callable[..., object]) -> None:
    async def hand_over() -> int:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", "", stdin=asyncio.subprocess.PIPE)
        assert process.stdin is not None
        await process.wait()
        await process.stdin.wait_closed()
        await hand_over_key(process, "key")
        return await process.wait()

    assert run(hand_over()) == 0


def kill(server: LlamaCpp) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)


@asynccontextmanager
async def unbalanced() -> AsyncGenerator[tuple[grpc.aio.Channel, LlamaCpp]]:
    """A supervised server and a channel that does not look at health by itself."""
    settings = LlmSettings(concurrency=1)
    server = LlamaCpp(settings)
    async with (
        running(LlmService(server, settings), settings) as service,
        open_plain_channel(f"127.0.0.1:{service.port}") as channel,
    ):
        yield channel, server


@asynccontextmanager
async def statuses(channel: grpc.aio.Channel, name: str) -> AsyncGenerator[Callable[[], Awaitable[int]]]:
    """What health tells of a service, at each change."""
    call: Any = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=name))  # pyright: ignore[reportAttributeAccessIssue] # untyped stub

    async def status() -> int:
        answer = await asyncio.wait_for(call.read(), 30)
        return answer.status

    yield status
    call.cancel()


async def test_a_server_that_is_killed_in_mid_answer_breaks_only_that_stream() -> None:
    async with supervised() as (stream, server):
        await stream.send(generate(LONG))
        await stream.until("text_delta")
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        assert (await stream.failure()).code() == grpc.StatusCode.UNAVAILABLE


async def test_a_server_asks_for_its_key(llama: Address) -> None:
    with pytest.raises(OSError, match="401"):
        await asyncio.to_thread(busy_slots, Address(llama.url, "wrong"))


async def test_no_server_stays_when_the_service_stops() -> None:
    async with supervised() as (_, server):
        pid = server.pid
        assert pid is not None
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
async def test_no_server_stays_however_the_service_ends(number: signal.Signals) -> None:
    service, port = launch()
    try:
        channel = open_plain_channel(f"127.0.0.1:{port}")
        async with channel:
            await asyncio.wait_for(channel.channel_ready(), 30)
        parent = psutil.Process(service.pid)
        await wait_until(lambda: bool(parent.children()), 30)
        children = parent.children()
        service.send_signal(number)
        await asyncio.to_thread(service.wait, 10)
        await wait_until(lambda: not any(is_alive(child) for child in children))
    finally:
        service.kill()
        service.wait()


async def test_a_file_that_is_no_model_is_refused_by_name(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(64))
    server = LlamaCpp(LlmSettings(model=str(broken)))
    with pytest.raises(FailedPrecondition, match=r"llama\.cpp"):
        await server.start()
    await server.stop()


async def test_a_model_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    server = LlamaCpp(LlmSettings(model=str(tmp_path / "none.gguf")))
    with pytest.raises(FailedPrecondition, match=r"none\.gguf"):
        await server.start()


def launch() -> tuple[subprocess.Popen[bytes], int]:
    """The service as operators start it."""
    port = free_block(1)
    command = [sys.executable, "-m", "voxmesh_llm_proxy", "--port", str(port), "--log-level", "ERROR"]
    return subprocess.Popen(command), port


def is_alive(process: psutil.Process) -> bool:
    # One that nobody has waited for is a zombie, which holds nothing.
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
