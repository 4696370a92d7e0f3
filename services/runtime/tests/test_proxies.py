"""C8: what is on this machine is never reached through a proxy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

import grpc
import pytest
from opentelemetry.sdk.trace import TracerProvider

from voxmesh.embed.v1 import embed_pb2, embed_pb2_grpc
from voxmesh_runtime.channels import open_channel, open_plain_channel
from voxmesh_runtime.exporting import Collector
from voxmesh_runtime.probe import is_serving
from voxmesh_runtime.proxies import bypasses_proxy, direct_mounts, spare_loopback
from voxmesh_runtime.server import running
from voxmesh_testing.streams import collector
from voxmesh_testing.toy import ToyService, ToySettings

pytestmark = pytest.mark.unit

OURS = (
    "127.0.0.1:50051",
    "127.8.9.10:1",
    "127.0.0.1",
    "localhost",
    "localhost:50051",
    "LocalHost.:50051",
    "stt.localhost:50051",
    "[::1]:50051",
    "::1",
    "[::ffff:127.0.0.1]:1",
    "[::1%lo]:1",
    "0.0.0.0:50051",
    "dns:localhost:50051",
    "dns:///localhost:50051",
    "dns://8.8.8.8/localhost:50051",
    "ipv4:127.0.0.1:1,127.0.0.1:2",
    "ipv6:[::1]:50051",
    "ipv6:%5B::1%5D:50051",
    "unix:relative.sock",
    "unix:///run/voxmesh.sock",
    "unix-abstract:voxmesh",
    "http://127.0.0.1:8080/v1",
    "https://user:secret@localhost/v1",
    "HTTP://[::1]:4317",
    "http://localhost?x=1",
)
THEIRS = (
    "",
    "stt:50051",
    "dns:///stt:50051",
    "dns://localhost/stt:50051",
    "10.0.0.7:50051",
    "ipv4:10.0.0.7:1",
    "[2001:db8::1]:50051",
    "localhost.example.org:1",
    "notlocalhost:1",
    "https://api.example.org/v1",
    "https://example.org/localhost",
    "http://localhost@example.org/",
    "http://127.0.0.1.example.org/",
)


@pytest.mark.parametrize("address", OURS, ids=lambda address: f"C8-{address}")
def test_an_address_of_this_machine_bypasses_proxies(address: str) -> None:
    assert bypasses_proxy(address)


@pytest.mark.parametrize("address", THEIRS, ids=lambda address: f"C8-{address}")
def test_any_other_address_takes_the_usual_way(address: str) -> None:
    assert not bypasses_proxy(address)


@pytest.mark.parametrize(
    ("told", "becomes"),
    [
        ({}, "localhost,127.0.0.1,::1"),
        ({"no_proxy": "*"}, "*"),
        ({"NO_PROXY": "example.org"}, "example.org,localhost,127.0.0.1,::1"),
        ({"no_proxy": "a, localhost", "NO_PROXY": "b"}, "a,localhost,127.0.0.1,::1"),
    ],
)
def test_the_environment_of_a_service_names_loopback_beside_what_the_operator_named(
    told: dict[str, str], becomes: str
) -> None:
    environment = dict(told)
    spare_loopback(environment)
    assert environment == {**told, "no_proxy": becomes} or environment == told == {"no_proxy": becomes}


def test_a_client_of_an_address_of_this_machine_takes_no_proxy() -> None:
    assert direct_mounts("http://user:secret@127.0.0.1:8080/v1") == {"all://127.0.0.1": None}
    assert direct_mounts("http://[::1]:8080/v1") == {"all://[::1]": None}
    assert direct_mounts("https://api.example.org/v1") == {}


class Proxy:
    """A listener that the environment calls a proxy; it keeps the first line of each request and hangs up."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.was_asked = asyncio.Event()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append(await reader.readline())
        self.was_asked.set()
        writer.close()


@pytest.fixture
async def proxy(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Proxy]:
    proxy = Proxy()
    server = await asyncio.start_server(proxy.answer, "127.0.0.1", 0)
    address = "http://{}:{}".format(*server.sockets[0].getsockname())
    for name in ("http_proxy", "https_proxy", "grpc_proxy", "all_proxy"):
        monkeypatch.setenv(name, address)
        monkeypatch.setenv(name.upper(), address)
    for name in ("no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    async with server:
        yield proxy


async def model_at(target: str, opened: Callable[[str], grpc.aio.Channel]) -> str:
    async with opened(target) as channel:
        stub = embed_pb2_grpc.EmbeddingServiceStub(channel)
        answer = await stub.GetModelInfo(embed_pb2.GetModelInfoRequest(), timeout=10, wait_for_ready=True)
        return answer.model_info.model


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "dns:///localhost", "ipv4:127.0.0.1"])
async def test_c8_calls_on_loopback_never_reach_the_proxy_of_the_environment(proxy: Proxy, host: str) -> None:
    settings = ToySettings()
    async with running(ToyService(settings), settings) as server:
        target = f"{host}:{server.port}"
        for opened in (open_channel, open_plain_channel):
            assert await model_at(target, opened) == "toy"
        assert await asyncio.to_thread(is_serving, target)
    assert proxy.asked == []


async def test_c8_traces_for_a_collector_on_loopback_never_reach_the_proxy(proxy: Proxy) -> None:
    async with collector() as (endpoint, spans):
        provider = TracerProvider()
        provider.add_span_processor(Collector(endpoint).span_processor())
        provider.get_tracer("C8").start_span("C8").end()
        await asyncio.to_thread(provider.shutdown)
    assert ([span.name for span in spans], proxy.asked) == (["C8"], [])


async def test_c8_other_targets_take_the_proxy_of_the_environment(proxy: Proxy) -> None:
    async with open_channel("voxmesh.invalid:1") as channel:
        channel.get_state(try_to_connect=True)
        async with asyncio.timeout(10):
            await proxy.was_asked.wait()
    assert proxy.asked[0].startswith(b"CONNECT voxmesh.invalid:1 ")
