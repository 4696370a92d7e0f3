"""A coordinator dies, and another one that shares its store goes on: nothing said or answered is lost or doubled."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hosts import free_port
from talking import Talk, question, reply_audio, reply_text, talk
from test_coordinator import asked, llm_proxy, says, targets_of
from test_resume import Wire, wired

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_client import MeshSettings, SpeechStarted
from voxmesh_client.events import SessionReplaced
from voxmesh_client.health import Health, check_health
from voxmesh_coordinator.reply import GO_ON
from voxmesh_llm_proxy.testing import Play, RecordedUpstream, recorded_upstream

pytestmark = [pytest.mark.mesh, pytest.mark.timeout(240)]

TurnEnded = conversation_pb2.TurnEnded
TurnReport = conversation_pb2.TurnReport
TurnFailed = conversation_pb2.TurnFailed
ReplyAudio = conversation_pb2.ReplyAudio

STORY = [f"This is sentence number {number}. " for number in ("one", "two", "three", "four", "five", "six")]


class Replica:
    """A coordinator in a process of its own."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.port = free_port()
        self.target = f"127.0.0.1:{self.port}"
        self._environment = {**os.environ, **environment, "VOXMESH_PORT": str(self.port)}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start and wait until it is healthy."""
        command = [sys.executable, "-m", "voxmesh_coordinator", "--log-level", "WARNING"]
        self._process = await asyncio.create_subprocess_exec(*command, env=self._environment)
        async with asyncio.timeout(60):
            while await check_health(self.target) is not Health.SERVING:  # noqa: ASYNC110 # another process's health
                await asyncio.sleep(0.05)

    async def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it, by default without a word."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            await process.wait()


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
    """The replicas share a store."""
    async with recorded_upstream() as upstream, llm_proxy(upstream) as proxy:
        targets = {f"VOXMESH_{name.upper()}": target for name, target in targets_of(settings).items()}
        shared = {**targets, "VOXMESH_LLM_TARGET": proxy, "VOXMESH_SESSION_STORE": store, **environment}
        replicas = (Replica(shared), Replica(shared))
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


async def test_a_coordinator_killed_in_mid_question_is_replaced_and_the_whole_question_heard(
    settings: MeshSettings, store: str
) -> None:
    async with stage(settings, store) as there, talk(there.settings) as call:
        there.upstream.play(says("It is Paris."))
        call.say(question())
        await call.until(SpeechStarted)
        await asyncio.sleep(0.7)
        await there.take_over()
        replaced = await call.until(SessionReplaced)
        await call.until(TurnReport)
        await hear(call, 0)
        await call.conversation.send_text("Thank you.")
        await call.until(TurnReport, 2)
        messages = asked(there.upstream, -1)
    assert replaced.resumed
    assert [ended.turn_index for ended in call.events(TurnEnded)] == [0, 1]
    said = call.events(TurnEnded)[0].text
    assert said.lower().strip("?.") == "what is the capital of france"
    assert reply_text(call, 0) == "It is Paris."
    assert [message["content"] for message in messages[1:]] == [said, "It is Paris.", "Thank you."]
    assert_seamless(call, 0)


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
    settings: MeshSettings, store: str
) -> None:
    async with stage(settings, store) as there, talk(there.settings) as call:
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
