"""One trace per turn, whose spans cross every process."""

from __future__ import annotations

import asyncio

import pytest
from collecting import Collector, ServiceSpan
from talking import question, reply_audio, talk

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_client import MeshSettings

pytestmark = pytest.mark.mesh

EDGES = {
    ("coordinator/turn", "turn/turn_detection"),
    ("coordinator/turn", "stt/stt"),
    ("coordinator/turn", "llm-proxy/llm"),
    ("coordinator/turn", "tts/tts"),
}


async def exported(collector: Collector, trace_id: str) -> list[ServiceSpan]:
    """The spans of a trace, once all processes have sent theirs."""
    for _ in range(100):
        found = collector.trace(trace_id)
        if len({span.service for span in found}) == 5:
            return found
        await asyncio.sleep(0.1)
    return collector.trace(trace_id)


def edges(spans: list[ServiceSpan]) -> set[tuple[str, str]]:
    """Parent to child, each as service/span."""
    by_id = {found.span.span_id: found for found in spans}
    named = {span_id: f"{found.service}/{found.span.name}" for span_id, found in by_id.items()}
    return {
        (named[found.span.parent_span_id], named[span_id])
        for span_id, found in by_id.items()
        if found.span.parent_span_id in named
    }


async def test_every_service_of_a_turn_is_a_child_of_the_turn(settings: MeshSettings, collector: Collector) -> None:
    async with talk(settings) as call:
        call.say(question())
        report = await call.until(conversation_pb2.TurnReport)
    spans = await exported(collector, report.trace_id)
    assert edges(spans) >= EDGES
    roots = [found for found in spans if not found.span.parent_span_id]
    assert [f"{found.service}/{found.span.name}" for found in roots] == ["coordinator/turn"]


async def test_turns_of_one_session_have_traces_of_their_own(settings: MeshSettings, collector: Collector) -> None:
    async with talk(settings) as call:
        call.say(question())
        first = await call.until(conversation_pb2.TurnReport)
        await call.conversation.played(first.turn_index, len(reply_audio(call, 0)) / 48_000)
        call.say(question())
        second = await call.until(conversation_pb2.TurnReport, 2)
    assert first.trace_id != second.trace_id
    for report in (first, second):
        assert edges(await exported(collector, report.trace_id)) >= EDGES


async def test_turns_of_sessions_at_once_have_traces_of_their_own_that_are_whole(
    settings: MeshSettings, collector: Collector
) -> None:
    async with talk(settings) as one, talk(settings) as two:
        for call in (one, two):
            call.say(question())
        reports = [await call.until(conversation_pb2.TurnReport) for call in (one, two)]
        sessions = [call.conversation.session.session_id for call in (one, two)]
    for report, session_id in zip(reports, sessions, strict=True):
        spans = await exported(collector, report.trace_id)
        assert edges(spans) >= EDGES
        known = {found.span.span_id for found in spans}
        (root,) = (found.span for found in spans if found.span.parent_span_id not in known)
        attributes = {item.key: item.value.string_value for item in root.attributes}
        assert attributes["gen_ai.conversation.id"] == session_id


async def test_nothing_that_was_said_is_in_a_span(settings: MeshSettings, collector: Collector) -> None:
    async with talk(settings) as call:
        call.say(question())
        report = await call.until(conversation_pb2.TurnReport)
    for found in await exported(collector, report.trace_id):
        assert b"france" not in found.span.SerializeToString().lower()
