"""A conversation is recorded when both the operator and the client want it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from talking import RATE_HERTZ, question, reply_audio, reply_text, talk
from test_coordinator import coordinator, says, scripted

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_client import Conversation, MeshSettings
from voxmesh_client.sound import samples_of
from voxmesh_runtime.audio import Samples, read_audio_file
from voxmesh_testing.streams import wait_until

pytestmark = pytest.mark.mesh

TurnEnded = conversation_pb2.TurnEnded
TurnReport = conversation_pb2.TurnReport
REPLY_HERTZ = 24_000


def outcome(conversation: Conversation) -> common_pb2.OptionOutcome:
    """What became of `config.record`."""
    options = conversation.session.services[-1].options
    return next(option for option in options if option.field == "config.record")


async def only_recording(recordings: Path) -> Path:
    """The one recording there is, once it is complete."""

    def complete() -> list[Path]:
        return [path.parent for path in recordings.glob("*/session.json") if json.loads(path.read_text())["complete"]]

    await wait_until(lambda: len(complete()) == 1, 60)
    return complete()[0]


def lines(recorded: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (recorded / "events.jsonl").read_text().splitlines()]


def placed(recorded: Path, name: str) -> tuple[Samples, int]:
    """All audio of a file at its places, without what lies between, and its rate."""
    samples, rate_hertz = read_audio_file(recorded / name)
    places = [line["audio"] for line in lines(recorded) if line.get("audio", {}).get("file") == name]
    pieces = [samples[place["start_frame"] : place["start_frame"] + place["frames"]] for place in places]
    return np.concatenate(pieces), rate_hertz


def first(recorded: Path, kind: str) -> dict[str, Any]:
    return next(line for line in lines(recorded) if kind in line["message"])


async def test_a_spoken_turn_is_recorded_as_the_client_saw_it(settings: MeshSettings, tmp_path: Path) -> None:
    said = question()
    async with coordinator(settings, recordings_dir=tmp_path) as (_, there):
        async with talk(there, record=True) as call:
            call.say(said)
            await call.until(TurnReport)
        recorded = await only_recording(tmp_path)
    assert outcome(call.conversation).outcome == common_pb2.OptionOutcome.OUTCOME_APPLIED
    ended = first(recorded, "turn_ended")["message"]["turn_ended"]
    assert ended.get("text") == call.events(TurnEnded)[0].text
    texts = [line["message"]["reply_text"]["delta"] for line in lines(recorded) if "reply_text" in line["message"]]
    assert "".join(texts) == reply_text(call, 0)
    microphone, rate_hertz = placed(recorded, "microphone.wav")
    assert rate_hertz == RATE_HERTZ
    begin = int(np.flatnonzero(microphone)[0]) - int(np.flatnonzero(samples_of(said))[0])
    assert np.array_equal(microphone[begin : begin + len(said) // 2], samples_of(said))
    spoken, rate_hertz = placed(recorded, "reply.wav")
    assert rate_hertz == REPLY_HERTZ
    assert np.array_equal(spoken, samples_of(reply_audio(call, 0)))
    line = first(recorded, "reply_audio")
    assert line["audio"]["start_frame"] == round(line["offset_s"] * REPLY_HERTZ)
    secret = call.conversation.session.resume_token
    assert not any(secret in file.read_text(errors="replace") for file in recorded.iterdir())


async def test_the_recording_of_an_interruption_agrees_with_the_history(settings: MeshSettings, tmp_path: Path) -> None:
    story = says(*["And so on and on it goes. "] * 200, gap_s=0.05)
    async with scripted(settings, story, says("Good."), recordings_dir=tmp_path) as (server, there):
        async with talk(there, record=True) as call:
            await call.conversation.send_text("Count.")
            await call.until(conversation_pb2.ReplyAudio, 10)
            await call.conversation.interrupt()
            await call.until(conversation_pb2.Interrupted)
            await call.conversation.send_text("Go on.")
            await call.until(TurnReport, 2)
        recorded = await only_recording(tmp_path)
    line = first(recorded, "interrupted")
    heard = line["message"]["interrupted"].get("heard_text", "")
    replies = [message["content"] for message in server.requests[1]["messages"] if message["role"] == "assistant"]
    assert replies == [heard] * bool(heard)
    assert line["audio"]["dropped_frames"] > 0


async def test_without_the_operator_nothing_is_recorded_and_the_client_is_told(settings: MeshSettings) -> None:
    async with coordinator(settings) as (_, there), talk(there, record=True) as call:
        told = outcome(call.conversation)
    assert told.outcome == common_pb2.OptionOutcome.OUTCOME_IGNORED
    assert told.detail == "this coordinator keeps no recordings"


async def test_without_the_client_nothing_is_recorded(settings: MeshSettings, tmp_path: Path) -> None:
    async with coordinator(settings, recordings_dir=tmp_path) as (_, there), talk(there) as call:
        await call.conversation.send_text("Hello.")
        await call.until(TurnReport)
    assert not os.listdir(tmp_path)  # noqa: PTH208 # pathlib's way is refused in coroutines


async def replayed(folder: Path, target: str | None, *options: str) -> tuple[int, dict[str, Any]]:
    """Exit status and JSON of `voxmesh replay`."""
    command = ["-m", "voxmesh_client", "replay", str(folder), "--target", str(target), "--json", *options]
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=subprocess.PIPE)
    output, _ = await process.communicate()
    return process.returncode or 0, json.loads(output)


async def test_a_replay_hears_the_same_and_tells_what_was_heard_otherwise(
    settings: MeshSettings, tmp_path: Path
) -> None:
    other, again = tmp_path / "other", tmp_path / "again"
    # How long a turn is waited for depends on the machine, and the machine is busy.
    waits = ["--tolerance", "10"]
    async with scripted(settings, says("It is Paris."), recordings_dir=tmp_path / "kept") as (_, there):
        async with talk(there, record=True) as call:
            call.say(question())
            await call.until(TurnReport)
        recorded = await only_recording(tmp_path / "kept")
        shutil.copytree(recorded, other)
        events = (recorded / "events.jsonl").read_text()
        (other / "events.jsonl").write_text(events.replace("France", "Spain"))
        (code, told), (other_code, other_told) = await asyncio.gather(
            replayed(recorded, there.coordinator_target, *waits, "--out", str(again)),
            replayed(other, there.coordinator_target, *waits),
        )
    assert code == 0, told
    assert told["is_alike"]
    assert told["is_complete"]
    assert told["services"] == {}
    turn = told["changes"][0]
    assert turn["replayed"]["transcript"] == call.events(TurnEnded)[0].text
    assert turn["replayed"]["reply"] == turn["recorded"]["reply"] == "It is Paris."
    assert turn["recorded"]["latency_s"] > 0
    assert turn["replayed"]["latency_s"] > 0
    assert json.loads((again / "changes.json").read_text()) == told
    assert read_audio_file(again / "reply.wav")[0].any()
    assert other_code == 1
    assert [word.strip("?.") for word in other_told["changes"][0]["words"]] == ["-Spain", "+France"]
