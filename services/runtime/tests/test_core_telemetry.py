"""Traces of a service as a process, received by a real collector, and as cheap as none without one."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest

from voxmesh.common.v1 import common_pb2
from voxmesh.embed.v1 import embed_pb2, embed_pb2_grpc
from voxmesh_runtime.channels import open_plain_channel
from voxmesh_runtime.telemetry import parent_context
from voxmesh_testing.streams import collector, exchange, wait_until
from voxmesh_testing.toy import Request

pytestmark = pytest.mark.server

TRACE_ID, PARENT_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = common_pb2.TraceContext(traceparent=f"00-{TRACE_ID}-{PARENT_ID}-01", tracestate="vendor=1")


@asynccontextmanager
async def toy(**variables: str) -> AsyncGenerator[tuple[asyncio.subprocess.Process, str]]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "VOXMESH_"))}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "voxmesh_testing.toy"), env=kept | variables, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(20):
            while b": serving" not in (line := await process.stderr.readline()):
                assert line
        found = re.search(r"address=(\S+)", line.decode())
        assert found is not None
        yield process, found[1]
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def embed(target: str, count: int = 1, trace_context: common_pb2.TraceContext | None = None) -> None:
    batch = Request(batch=embed_pb2.TextBatch(texts=["a text of a caller"], trace_context=trace_context))
    async with open_plain_channel(target) as channel:
        method = embed_pb2_grpc.EmbeddingServiceStub(channel).StreamingEmbed
        async with exchange(method, Request(config=embed_pb2.EmbeddingConfig()), *[batch] * count) as stream:
            await stream.half_close()
            await stream.rest()


async def stopped(process: asyncio.subprocess.Process) -> str:
    """Stop it, and give what it still logs."""
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(6):
        _, log = await process.communicate()
    assert process.returncode == 0
    return log.decode()


async def test_spans_reach_the_collector_under_the_parent_of_their_message() -> None:
    async with collector() as (endpoint, spans), toy(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint) as (_, target):
        await embed(target, trace_context=PARENT)
        await wait_until(lambda: len(spans) == 1)
    span = spans[0]
    assert (span.service, span.name) == ("toy", "embed")
    assert (span.trace_id, span.parent_id) == (TRACE_ID, PARENT_ID)
    assert span.attributes["voxmesh.batch_size"] == 1
    assert "a text of a caller" not in repr(span)


async def test_a_span_without_a_parent_begins_a_trace_and_a_stop_loses_none() -> None:
    async with collector() as (endpoint, spans), toy(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint) as (process, target):
        await embed(target, count=20)
        await stopped(process)
    assert len(spans) == 20
    assert {span.parent_id for span in spans} == {""}
    assert len({span.trace_id for span in spans}) == 20


async def test_a_collector_that_is_dead_costs_one_line_and_holds_up_nothing() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with toy(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_METRIC_EXPORT_INTERVAL="300") as (process, target):
            for _ in range(2):
                await embed(target)
                await asyncio.sleep(0.6)
            lines = [line for line in (await stopped(process)).splitlines() if " INFO " not in line]
    assert len(lines) == 1
    assert f"traces and metrics are not delivered endpoint={endpoint}" in lines[0]


IDS = """
from voxmesh_runtime import telemetry
flush = telemetry.configure("ids", "host", None)
span = telemetry.start_span("turn")
print(telemetry.trace_context(span).traceparent)
child = telemetry.start_span("stt", telemetry.trace_context(span))
print(telemetry.trace_context(child).traceparent)
flush()
"""


async def test_without_an_endpoint_spans_have_ids_and_nothing_is_sent() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", IDS),
        env=os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert err == b""
    turn, stt = (line.split("-") for line in out.decode().split())
    assert re.fullmatch("[0-9a-f]{32}", turn[1])
    assert turn[1] == stt[1] != "0" * 32
    assert turn[2] != stt[2]


@pytest.mark.parametrize("traceparent", ["", "nonsense", f"00-{'0' * 32}-{PARENT_ID}-01", f"00-{TRACE_ID}-xyz-01"])
def test_a_traceparent_that_is_none_makes_no_parent_and_no_error(traceparent: str) -> None:
    assert not parent_context(common_pb2.TraceContext(traceparent=traceparent))
    assert parent_context(None) is None
