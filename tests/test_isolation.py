"""Sessions at once, over two hundred turns: histories, transcripts and reports never mix."""

from __future__ import annotations

import asyncio
import re

import pytest
from talking import Talk, chat, reply_text
from test_coordinator import asked, says, scripted

from voxmesh.conversation.v1 import conversation_pb2, conversation_pb2_grpc
from voxmesh_client import MeshSettings
from voxmesh_runtime.channels import open_channel

pytestmark = [pytest.mark.mesh, pytest.mark.timeout(240)]

SESSIONS = 4
TURNS = 50


async def converse(call: Talk, name: str) -> list[conversation_pb2.TurnReport]:
    """Fifty typed turns that name their session."""
    for turn in range(TURNS):
        await call.conversation.send_text(f"This is {name}, turn {turn}.")
        await call.until(conversation_pb2.TurnReport, turn + 1)
    return call.events(conversation_pb2.TurnReport)


async def test_two_hundred_turns_of_sessions_at_once_keep_apart(settings: MeshSettings) -> None:
    async with scripted(settings, says("I hear", " you.")) as (server, there):
        async with chat(there) as a, chat(there) as b, chat(there) as c, chat(there) as d:
            calls = dict(zip(("ada", "bob", "cleo", "dora"), (a, b, c, d), strict=True))
            ids = {name: call.conversation.session.session_id for name, call in calls.items()}
            reports = await asyncio.gather(*(converse(call, name) for name, call in calls.items()))
        async with open_channel(there.coordinator_target or "") as channel:
            stub = conversation_pb2_grpc.ConversationServiceStub(channel)
            kept = await stub.ListTurnReports(conversation_pb2.ListTurnReportsRequest(limit=1000))
    assert len(server.requests) == SESSIONS * TURNS
    for number in range(len(server.requests)):
        told = " ".join(message["content"] for message in asked(server, number) if message["role"] == "user")
        assert len(set(re.findall(r"This is (\w+)", told))) == 1
    for name, call in calls.items():
        ended = [event.text for event in call.events(conversation_pb2.TurnEnded)]
        assert ended == [f"This is {name}, turn {turn}." for turn in range(TURNS)]
        assert all(reply_text(call, turn) == "I hear you." for turn in range(TURNS))
    assert all([report.turn_index for report in of_session] == list(range(TURNS)) for of_session in reports)
    for session_id in ids.values():
        listed = [each.report.turn_index for each in kept.turns if each.session_id == session_id]
        assert listed == list(range(TURNS))
