"""A coordinator dies, and another one that shares its store goes on: nothing said or answered is lost or doubled."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import ServiceDied, ServiceProcess
from redis.asyncio import Redis
from redis.exceptions import RedisError
from redis_server import redis_server
from talking import Talk, chat, reply_audio, reply_text, talk
from test_coordinator import asked, llm_proxy, says, targets_of
from test_resume import Wire, wired

from voxmesh.conversation.v1 import conversation_pb2, conversation_pb2_grpc
from voxmesh_client import MeshSettings
from voxmesh_client.events import SessionReplaced
from voxmesh_coordinator.reply.language_model import GO_ON
from voxmesh_runtime.channels import open_channel
from voxmesh_testing.llm_server import Play, RecordedUpstream, recorded_upstream
from voxmesh_testing.streams import exchange

pytestmark = [pytest.mark.mesh, pytest.mark.timeout(240)]

TurnReport = conversation_pb2.TurnReport
TurnFailed = conversation_pb2.TurnFailed
ReplyAudio = conversation_pb2.ReplyAudio

Request = conversation_pb2.ConverseRequest
Stub = conversation_pb2_grpc.ConversationServiceStub

TYPED = Request(config=conversation_pb2.ConversationConfig(text_replies_only=True))
STILL_S = 150.0
"""Longest time of a test, in seconds; the run's own limit would end the process in the middle of its loop."""
STORY = [f"This is sentence number {number}. " for number in ("one", "two", "three", "four", "five", "six")]


class Replica(ServiceProcess):
    """A coordinator in a process of its own."""

    def __init__(self, name: str, environment: dict[str, str]) -> None:
        super().__init__("voxmesh_coordinator", {**environment, "VOXMESH_HOST_NAME": name})
        self.name = name


@dataclass
class Stage:
    """Two replicas behind one wire, with a language model whose answers are fixed."""

    upstream: RecordedUpstream
    wire: Wire
    replicas: tuple[Replica, Replica]
    settings: MeshSettings

    async def take_over(self) -> None:
        """Kill the first replica, and let the client find the second."""
        await self.replicas[0].stop()
        self.wire.lead_to(self.replicas[1].target)


@asynccontextmanager
async def stage(settings: MeshSettings, store: str, **environment: str) -> AsyncGenerator[Stage]:
    """The replicas share a store; a test that stands still fails where it stands."""
    async with asyncio.timeout(STILL_S), recorded_upstream() as upstream, llm_proxy(upstream) as proxy:
        targets = {f"VOXMESH_{name.upper()}": target for name, target in targets_of(settings).items()}
        shared = {**targets, "VOXMESH_LLM_TARGET": proxy, "VOXMESH_SESSION_STORE": store, **environment}
        replicas = (Replica("one", shared), Replica("two", shared))
        try:
            await asyncio.gather(*(each.start() for each in replicas))
            there = settings.model_copy(update={"coordinator_target": replicas[0].target})
            async with wired(there) as (wire, far):
                yield Stage(upstream, wire, replicas, far)
        finally:
            await asyncio.gather(*(each.stop() for each in replicas))


@pytest.fixture
def store(tmp_path: Path) -> str:
    """The embedded store."""
    return f"sqlite://{tmp_path}/sessions.sqlite3"


def assert_seamless(call: Talk, turn_index: int) -> None:
    """Every piece of a reply's audio follows the one before it."""
    pieces = [piece for piece in call.events(ReplyAudio) if piece.turn_index == turn_index]
    assert [piece.sequence for piece in pieces] == list(range(pieces[0].sequence, pieces[0].sequence + len(pieces)))
    begins = [piece.offset.ToNanoseconds() / 1e9 for piece in pieces]
    ends = np.cumsum([len(piece.data) / 48_000 for piece in pieces])
    assert begins[0] == 0
    assert begins[1:] == pytest.approx(ends[:-1].tolist(), abs=1e-6)
    assert [piece.is_last for piece in pieces] == [False] * (len(pieces) - 1) + [True]


async def hear(call: Talk, turn_index: int) -> None:
    """Play a reply to its end."""
    await call.conversation.played(turn_index, len(reply_audio(call, turn_index)) / 48_000)


def rest_of_story(request: dict[str, Any]) -> Play:
    """The story, from where it was stopped when the model is asked to go on."""
    *_, before, last = request["messages"]
    told = before["content"].strip() if last["content"] == GO_ON else ""
    rest = [sentence for sentence in STORY if sentence.strip() not in told]
    assert "".join(STORY).startswith(told)
    return says(*rest, gap_s=0.5)


async def told(there: Stage, call: Talk, turn_index: int) -> bytes:
    """The audio of the story when nothing comes in between."""
    there.upstream.play(says(*STORY))
    await call.conversation.send_text("Tell me a story.")
    await call.until(TurnReport, where=lambda report: report.turn_index == turn_index)
    return reply_audio(call, turn_index)


async def test_a_coordinator_killed_in_mid_answer_is_replaced_and_the_rest_is_said(
    settings: MeshSettings, tmp_path: Path
) -> None:
    async with (
        redis_server(tmp_path) as store,
        stage(settings, store) as there,
        talk(there.settings) as call,
    ):
        undisturbed = await told(there, call, 0)
        await hear(call, 0)
        there.upstream.play(rest_of_story)
        await call.conversation.send_text("Again, please.")
        await call.until(ReplyAudio, 15, where=lambda piece: piece.turn_index == 1)
        await there.take_over()
        await call.until(TurnReport, 2)
        requests = len(there.upstream.requests)
        await hear(call, 1)
        there.upstream.play(says("Good."))
        await call.conversation.send_text("Thank you.")
        await call.until(TurnReport, 3)
        messages = asked(there.upstream, -1)
    assert [replaced.resumed for replaced in call.events(SessionReplaced)] == [True]
    assert not call.events(TurnFailed)
    assert requests == 2
    assert reply_text(call, 1) == "".join(STORY)
    assert_seamless(call, 1)
    assert reply_audio(call, 1) == undisturbed
    assert [message["content"].strip() for message in messages[-3:]] == [
        "Again, please.",
        "".join(STORY).strip(),
        "Thank you.",
    ]


@asynccontextmanager
async def stubs(there: Stage) -> AsyncGenerator[tuple[Stub, Stub]]:
    """Both replicas, without a client library."""
    async with (
        open_channel(there.replicas[0].target) as one,
        open_channel(there.replicas[1].target) as two,
    ):
        yield Stub(one), Stub(two)


async def test_a_conversation_goes_on_when_its_store_dies(settings: MeshSettings, tmp_path: Path) -> None:
    async with redis_server(tmp_path) as url, stage(settings, url) as there, chat(there.settings) as call:
        there.upstream.play(says("Yes."))
        await call.conversation.send_text("Are you there?")
        await call.until(TurnReport)
        with suppress(RedisError):
            await Redis.from_url(url).shutdown(nosave=True)
        await call.conversation.send_text("Still?")
        await call.until(TurnReport, 2)
    assert reply_text(call, 1) == "Yes."
    assert not call.events(SessionReplaced)


async def test_a_coordinator_that_stops_hands_its_session_over(settings: MeshSettings, store: str) -> None:
    async with stage(settings, store) as there:
        both = ",".join(replica.target for replica in there.replicas)
        far = there.settings.model_copy(update={"coordinator_target": f"ipv4:{both}"})
        async with chat(far) as call:
            there.upstream.play(says("Yes."))
            await call.conversation.send_text("Are you there?")
            await call.until(TurnReport)
            host = call.conversation.session.services[-1].host
            serving = next(replica for replica in there.replicas if replica.name == host)
            await serving.stop(signal.SIGTERM)
            replaced = await call.until(SessionReplaced)
            await call.conversation.send_text("Still?")
            await call.until(TurnReport, 2)
            messages = asked(there.upstream, -1)
    assert replaced == SessionReplaced("the coordinator asked to move", resumed=True)
    assert call.conversation.session.services[-1].host != host
    assert [message["content"] for message in messages[1:]] == ["Are you there?", "Yes.", "Still?"]


async def test_a_client_behind_one_address_moves_though_its_connection_still_stands(
    settings: MeshSettings, store: str
) -> None:
    async with stage(settings, store) as there, stubs(there) as (one, _), chat(there.settings) as call:
        there.upstream.play(says("Yes."))
        await call.conversation.send_text("Are you there?")
        await call.until(TurnReport)
        async with exchange(one.Converse, TYPED) as stays:
            await stays.until("session_started")
            # As a Service does with a pod that is not ready: new connections lead elsewhere, old ones stay.
            there.wire.lead_to(there.replicas[1].target)
            there.replicas[0].send(signal.SIGTERM)
            replaced = await call.until(SessionReplaced)
            await call.conversation.send_text("Still?")
            await call.until(TurnReport, 2)
            assert call.conversation.session.services[-1].host == "two"
            assert there.replicas[0].is_running
    assert replaced.resumed


@pytest.mark.parametrize("store", ["sqlite:///proc/no/such/file"], ids=["C14"])
async def test_a_replica_that_dies_is_noticed_at_once_and_says_why(store: str) -> None:
    with pytest.raises(ServiceDied, match="sessions cannot be kept in /proc/no/such/file"):
        await Replica("one", {"VOXMESH_SESSION_STORE": store}).start()
