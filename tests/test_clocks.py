"""Hosts with clocks of their own, and hosts far apart: where a turn's time went adds up all the same."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from collecting import Collector, ServiceSpan
from hosts import clock_of, fake_clock, free_port, inside, namespaces, service, why_no_namespaces, wire
from talking import QUESTION, question, reply_audio, talk

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_client import Mesh, MeshSettings
from voxmesh_client.trace import read_reports
from voxmesh_client.trace_page import page
from voxmesh_client.turn_rows import chart
from voxmesh_runtime import names

pytestmark = [pytest.mark.mesh, pytest.mark.timeout(300)]

Hop = conversation_pb2.Hop
TurnReport = conversation_pb2.TurnReport

SHIFTS_S = {"stt": 3.0, "tts": -0.4}
"""How far the clocks of two services are apart from the coordinator's."""
DELAY_S = 0.04
PARTS = ("network_duration", "input_duration", "queue_duration", "compute_duration")
WAYS = ("network_there_duration", "network_back_duration")
STAMPS = ("received", "started", "first_output", "finished")

needs_fake_clocks = pytest.mark.skipif(fake_clock() is None, reason="Debian's package faketime is not installed")


@asynccontextmanager
async def shifted(settings: MeshSettings, collector: Collector, folder: Path) -> AsyncGenerator[MeshSettings]:
    """A coordinator whose stt is 3 s ahead and whose tts is 400 ms behind; the rest is the mesh's own."""
    own = [("turn", 1), ("llm", 4), ("vlm", 5)]
    targets = {f"VOXMESH_{slot.upper()}_TARGET": f"127.0.0.1:{settings.base_port + offset}" for slot, offset in own}
    async with AsyncExitStack() as stack:
        for slot, shift_s in SHIFTS_S.items():
            port = free_port()
            targets[f"VOXMESH_{slot.upper()}_TARGET"] = f"127.0.0.1:{port}"
            environment = {**clock_of(f"{shift_s:+}s"), "VOXMESH_HOST_NAME": f"{slot}-host"}
            await stack.enter_async_context(service(f"voxmesh_{slot}", port, folder, environment))
        endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}"}
        port = free_port()
        await stack.enter_async_context(service("voxmesh_coordinator", port, folder, {**targets, **endpoint}))
        yield settings.model_copy(update={"coordinator_target": f"127.0.0.1:{port}"})


def slot_of(hop: Hop) -> str:
    return hop.service.split("/")[0]


def nanoseconds(message: Any, fields: tuple[str, ...]) -> list[int]:
    return [getattr(message, field).ToNanoseconds() for field in fields]


def assert_adds_up(report: TurnReport) -> None:
    """Every hop's parts are the coordinator's own measure of it, and all hops together that of the turn."""
    for hop in report.hops:
        assert sum(nanoseconds(hop, PARTS)) == hop.first_output_time.ToNanoseconds() - hop.sent_time.ToNanoseconds()
        assert sum(nanoseconds(hop, WAYS)) == hop.network_duration.ToNanoseconds()
        assert min(nanoseconds(hop, (*PARTS, *WAYS))) >= 0
    assert report.explained_share >= 0.95
    drawn = chart(report)
    assert drawn is not None
    assert drawn.audio_s is not None
    covered_s, reached_s = 0.0, 0.0
    for span in sorted((span for row in drawn.rows for span in row.spans), key=lambda span: span.start_s):
        start_s, end_s = max(span.start_s, reached_s), min(span.end_s, drawn.audio_s)
        covered_s += max(0.0, end_s - start_s)
        reached_s = max(reached_s, end_s)
    assert covered_s >= 0.95 * drawn.audio_s


def assert_clock_is_right(hop: Hop, shift_s: float) -> None:
    """The true offset lies in the bound, and so does every corrected time around the true one."""
    error_ns = hop.clock_offset_error.ToNanoseconds()
    shift_ns = round(shift_s * 1e9)
    assert hop.HasField("clock_offset")
    assert 0 < error_ns < 1_000_000_000
    assert abs(hop.clock_offset.ToNanoseconds() - shift_ns) <= error_ns
    for stamp in STAMPS:
        raw_ns = getattr(hop.service_timing, f"{stamp}_time").ToNanoseconds()
        corrected_ns = getattr(hop, f"corrected_{stamp}_time").ToNanoseconds()
        assert abs(corrected_ns - (raw_ns - shift_ns)) <= error_ns


async def spans_of(collector: Collector, trace_id: str) -> list[ServiceSpan]:
    """What the coordinator exported of a turn, once all of it is there."""
    for _ in range(100):
        found = [span for span in collector.trace(trace_id) if span.service == "coordinator"]
        if any(span.span.name == names.SPAN_TURN for span in found):
            return found
        await asyncio.sleep(0.1)
    raise AssertionError("the turn's span was not exported")


def attributes(span: ServiceSpan) -> dict[str, Any]:
    return {item.key: getattr(item.value, item.value.WhichOneof("value") or "") for item in span.span.attributes}


@needs_fake_clocks
async def test_clocks_that_are_apart_do_not_change_where_the_time_went(
    settings: MeshSettings, collector: Collector, tmp_path: Path
) -> None:
    async with shifted(settings, collector, tmp_path) as there:
        async with talk(there) as call:
            for turn in range(2):
                call.say(question())
                report = await call.until(TurnReport, turn + 1)
                await call.conversation.played(report.turn_index, len(reply_audio(call, report.turn_index)) / 48_000)
        reports = call.events(TurnReport)
        async with Mesh(there) as mesh:
            held = await mesh.traces.list(conversation_pb2.ListTurnReportsRequest(limit=10))
        for report in reports:
            assert {slot_of(hop) for hop in report.hops} == {"turn", "stt", "llm", "tts"}
            assert_adds_up(report)
            for hop in report.hops:
                assert_clock_is_right(hop, SHIFTS_S.get(slot_of(hop), 0.0))
        assert [turn.report for turn in held] == reports
        assert {turn.session_id for turn in held} == {call.conversation.session.session_id}
        await assert_spans_are_right(collector, reports[0])


async def assert_spans_are_right(collector: Collector, report: TurnReport) -> None:
    """Each hop is a span of its turn, on the coordinator's clock, with the raw times and the bound beside."""
    spans = await spans_of(collector, report.trace_id)
    (turn,) = [span.span for span in spans if span.span.name == names.SPAN_TURN]
    for hop in report.hops:
        begin_ns, name = hop.corrected_received_time.ToNanoseconds(), f"{names.SPAN_HOP} {slot_of(hop)}"
        at_once = [span for span in spans if span.span.start_time_unix_nano == begin_ns]
        (exported,) = [span for span in at_once if span.span.name == name]
        told = attributes(exported)
        assert exported.span.parent_span_id == turn.span_id
        assert exported.span.end_time_unix_nano == hop.corrected_finished_time.ToNanoseconds()
        assert told[names.HOP_RAW_RECEIVED] == hop.service_timing.received_time.ToNanoseconds()
        assert told[names.HOP_SERVICE] == hop.service
        assert told[names.CLOCK_OFFSET_ERROR_S] == pytest.approx(hop.clock_offset_error.ToNanoseconds() / 1e9)
        for name in (names.NETWORK_S, names.QUEUE_S, names.COMPUTE_S, names.CLOCK_OFFSET_S, names.HOP_HOST):
            assert name in told


@asynccontextmanager
async def far_apart(folder: Path) -> AsyncGenerator[dict[str, str]]:
    """Two hosts with 40 ms between them: stt and tts on one, all else on the other; the caller's environment."""
    near, far = f"vmnear{os.getpid()}", f"vmfar{os.getpid()}"
    here = {"OTEL_EXPORTER_OTLP_ENDPOINT": "", "VOXMESH_HOST_NAME": "near"}
    targets = {f"VOXMESH_{slot.upper()}_TARGET": f"127.0.0.1:{50051 + i}" for i, slot in enumerate(("turn", "llm"))}
    targets |= {f"VOXMESH_{slot.upper()}_TARGET": f"10.77.0.2:{50053 + i}" for i, slot in enumerate(("stt", "tts"))}
    async with AsyncExitStack() as stack:
        stack.enter_context(namespaces(near, far))
        await stack.enter_async_context(wire(round(DELAY_S * 1000), f"{near}/10.77.0.1", f"{far}/10.77.0.2"))
        there = {**here, "VOXMESH_HOST_NAME": "far", "VOXMESH_HOST": "10.77.0.2"}
        # One after another: what loads a model wants a whole core.
        for package, port, host, environment in (
            ("voxmesh_turn", 50051, near, here),
            ("voxmesh_llm_proxy", 50052, near, here),
            ("voxmesh_stt", 50053, far, there),
            ("voxmesh_tts", 50054, far, there),
            ("voxmesh_coordinator", 50050, near, {**here, **targets}),
        ):
            await stack.enter_async_context(service(package, port, folder, environment, inside(host)))
        yield {**os.environ, "VOXMESH_COORDINATOR_TARGET": "127.0.0.1:50050", "NAMESPACE": near}


async def voxmesh(environment: dict[str, str], *words: str) -> str:
    """What a verb prints, run on the near host."""
    command = [*inside(environment["NAMESPACE"]), sys.executable, "-m", "voxmesh_client", *words]
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.PIPE)
    output, _ = await asyncio.wait_for(process.communicate(), 100)
    assert process.returncode == 0
    return output.decode()


async def test_the_way_between_hosts_shows_as_network_and_nowhere_else(tmp_path: Path) -> None:
    if reason := why_no_namespaces():
        pytest.skip(reason)
    async with far_apart(tmp_path) as environment:
        asked = json.loads(await voxmesh(environment, "ask", str(QUESTION), "--json"))
        (tmp_path / "traces.json").write_text(await voxmesh(environment, "trace", "--json"))
        drawn = await voxmesh(environment, "trace", asked["turns"][0]["report"]["trace_id"][:10])
    (turn,) = read_reports(tmp_path / "traces.json")
    report = turn.report
    assert report.trace_id == asked["turns"][0]["report"]["trace_id"]
    assert_adds_up(report)
    for hop in report.hops:
        assert_clock_is_right(hop, 0.0)
        if slot_of(hop) in SHIFTS_S:
            assert_the_wire_shows(hop)
    assert "stt/moonshine @far" in drawn
    assert "±" in drawn
    assert "tts-host" not in page([turn])


def assert_the_wire_shows(hop: Hop) -> None:
    """Both ways over the wire are network, and what the service spent is what it says by its own clock."""
    error_s = hop.clock_offset_error.ToNanoseconds() / 1e9
    assert hop.host == "far"
    assert hop.network_duration.ToNanoseconds() / 1e9 >= 2 * DELAY_S
    for field in WAYS:
        assert getattr(hop, field).ToNanoseconds() / 1e9 >= DELAY_S - error_s
    timing = hop.service_timing
    # What answers a finalize is complete with its end; of speech the first audio counts.
    answered = timing.finished_time if slot_of(hop) == "stt" else timing.first_output_time
    served_ns = answered.ToNanoseconds() - timing.received_time.ToNanoseconds()
    assert sum(nanoseconds(hop, PARTS[1:])) == pytest.approx(served_ns, abs=1_000)
