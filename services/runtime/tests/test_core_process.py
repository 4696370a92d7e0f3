"""A service as a process: health while it loads, signals, the loss of its parent, and how it ends."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import grpc
import psutil
import pytest
from google.rpc import error_details_pb2
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from voxmesh.embed.v1 import embed_pb2, embed_pb2_grpc
from voxmesh_runtime.channels import open_plain_channel
from voxmesh_runtime.probe import is_serving
from voxmesh_testing.streams import Exchange, details, exchange
from voxmesh_testing.toy import Request, Response, ToyService

pytestmark = pytest.mark.server

CONFIG = Request(config=embed_pb2.EmbeddingConfig())
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
NOTHING_INHERITED = ("VOXMESH_", "OTEL_")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "voxmesh_testing.toy", *arguments]


def environment(**changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(NOTHING_INHERITED)}
    return kept | changes


class Process:
    """A toy service that runs as a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    @property
    def log(self) -> str:
        return "".join(self.lines)

    async def line(self, text: str) -> str:
        """The first line of its log from here on that holds `text`."""
        assert self.process.stderr is not None
        async with asyncio.timeout(20):
            while read := await self.process.stderr.readline():
                self.lines.append(read.decode())
                if text in self.lines[-1]:
                    return self.lines[-1]
        raise AssertionError(f"no {text!r} in:\n{self.log}")

    async def target(self, state: str = "serving") -> str:
        """Its address, once its log says that it is in a state."""
        found = re.search(r"address=(\S+)", await self.line(f": {state}"))
        assert found is not None
        return found[1]

    async def end(self, timeout_s: float = 5.0) -> int:
        """Its exit status."""
        assert self.process.stderr is not None
        async with asyncio.timeout(timeout_s):
            rest = await self.process.stderr.read()
            self.lines.append(rest.decode())
            return await self.process.wait()


@asynccontextmanager
async def toy(*arguments: str, **variables: str) -> AsyncGenerator[Process]:
    process = await asyncio.create_subprocess_exec(
        *command(*arguments), env=environment(**variables), stderr=asyncio.subprocess.PIPE
    )
    try:
        yield Process(process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


@asynccontextmanager
async def stream(target: str) -> AsyncGenerator[Exchange[Request, Response]]:
    # A channel of ours would send nothing to a server that is NOT_SERVING.
    async with (
        open_plain_channel(target) as channel,
        exchange(embed_pb2_grpc.EmbeddingServiceStub(channel).StreamingEmbed, CONFIG) as opened,
    ):
        yield opened


async def health(target: str, service: str = "") -> int:
    async with open_plain_channel(target) as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service))  # pyright: ignore[reportAttributeAccessIssue] # untyped stub
        return answer.status


async def test_a_service_that_loads_listens_and_refuses_and_then_serves(tmp_path: Path) -> None:
    async with toy("--load-until", str(tmp_path / "loaded")) as process:
        target = await process.target("listening")
        assert await health(target) == NOT_SERVING
        async with stream(target) as early:
            error = await early.failure()
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert [type(detail) for detail in details(error)] == [error_details_pb2.RetryInfo]
        async with open_plain_channel(target) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await embed_pb2_grpc.EmbeddingServiceStub(channel).GetModelInfo(embed_pb2.GetModelInfoRequest())
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        assert not await asyncio.to_thread(is_serving, target)
        (tmp_path / "loaded").touch()
        await process.target("serving")
        assert await health(target) == await health(target, ToyService.names[0]) == SERVING
        assert await asyncio.to_thread(is_serving, target)
        async with stream(target) as opened:
            await opened.until("ready")


async def test_a_server_tells_its_services_and_sockets() -> None:
    async with toy() as process, open_plain_channel(await process.target()) as channel:
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo()  # pyright: ignore[reportArgumentType, reportCallIssue] # untyped stub
        await reflection.write(reflection_pb2.ServerReflectionRequest(list_services=""))  # pyright: ignore[reportAttributeAccessIssue] # untyped stub
        answer = await reflection.read()
        names = {service.name for service in answer.list_services_response.service}
        assert {ToyService.names[0], "grpc.health.v1.Health"} <= names
        reflection.cancel()
        servers = await channelz_pb2_grpc.ChannelzStub(channel).GetServers(channelz_pb2.GetServersRequest())  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType] # untyped stub
        assert len(servers.server) == 1
        assert servers.server[0].data.calls_started > 0


async def test_sigterm_turns_health_moves_the_stream_and_ends_with_status_0() -> None:
    async with toy("--drain-s", "20") as process:
        target = await process.target()
        async with stream(target) as opened:
            await opened.until("ready")
            process.process.send_signal(signal.SIGTERM)
            await opened.until("going_away")
            assert await health(target) == NOT_SERVING
            async with stream(target) as late:
                assert (await late.failure()).code() == grpc.StatusCode.UNAVAILABLE
            await opened.half_close()
            await opened.rest()
        assert await process.end() == 0
        assert "Traceback" not in process.log


async def test_a_second_signal_ends_a_drain_at_once() -> None:
    async with toy("--drain-s", "60") as process:
        async with stream(await process.target()) as opened:
            await opened.until("ready")
            process.process.send_signal(signal.SIGINT)
            await opened.until("going_away")
            process.process.send_signal(signal.SIGINT)
            assert (await opened.failure()).code() == grpc.StatusCode.UNAVAILABLE
        assert await process.end() == 0
        assert "Traceback" not in process.log


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_a_service_whose_load_blocks_its_thread(number: signal.Signals) -> None:
    async with toy("--load-s", "60") as process:
        await process.line("listening")
        process.process.send_signal(number)
        assert await process.end(timeout_s=6.0) == 0
        assert "Traceback" not in process.log


PARENT = """
import os, subprocess, sys, time
child = subprocess.Popen(sys.argv[1:], env=os.environ | {"VOXMESH_PARENT_PID": str(os.getpid())})
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("load_s", ["0", "60"], ids=["serving", "loading"])
async def test_a_service_whose_parent_is_killed_does_not_outlive_it(load_s: str) -> None:
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, *command("--load-s", load_s, "--drain-s", "60")),
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert parent.stdout is not None
    child = psutil.Process(int(await parent.stdout.readline()))
    process = Process(parent)
    try:
        target = await process.target("listening" if load_s != "0" else "serving")
        async with stream(target) as opened:
            if load_s == "0":
                await opened.until("ready")
            parent.kill()
            await process.line("parent is gone")
            await asyncio.to_thread(child.wait, 6)
    finally:
        with suppress(ProcessLookupError):
            parent.kill()
        with suppress(psutil.NoSuchProcess):
            child.kill()
        await parent.communicate()


@pytest.mark.parametrize(
    ("error", "line"),
    [
        ("typed", "cannot start: engine 'toy' is not installed"),
        ("model", "cannot start: the model is not on this machine; fetch it first"),
    ],
)
async def test_a_load_that_an_operator_can_mend_fails_in_one_line(error: str, line: str) -> None:
    async with toy("--load-error", error) as process:
        assert await process.end(20.0) == 1
        assert process.log.count("ERROR") == 1
        assert line in process.log
        assert "Traceback" not in process.log


async def test_a_port_that_is_taken_is_named_in_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with toy(VOXMESH_PORT=str(port)) as process:
            assert await process.end(20.0) == 1
            assert f"cannot listen on 127.0.0.1:{port}: choose a free port with --port" in process.log
            assert "Traceback" not in process.log
            assert [line for line in process.log.splitlines() if " INFO " not in line] == [process.log.splitlines()[-1]]


async def test_a_load_that_fails_by_a_bug_shows_where() -> None:
    async with toy("--load-error", "unknown") as process:
        assert await process.end(20.0) == 1
        assert "Traceback" in process.log
        assert "ZeroDivisionError: a bug in the load" in process.log


async def test_a_setting_out_of_range_is_named_in_one_line() -> None:
    async with toy("--port", "99999") as process:
        assert await process.end(20.0) == 1
        assert process.log == "cannot start: port: Input should be less than or equal to 65535\n"
