"""The microphone's audio goes to both who listen, and a turn's beginning and end to each in its own words."""

from __future__ import annotations

from typing import Any

import pytest

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_coordinator.listening.microphone import Microphone, Settings
from voxmesh_coordinator.listening.retention import LEAD_S
from voxmesh_coordinator.turn.events import Event, SpeechStarted, SpeechStopped
from voxmesh_routing.timeline import AudioTimeline, Piece
from voxmesh_runtime.audio import AudioFormat, Encoding
from voxmesh_runtime.errors import InvalidArgument

pytestmark = pytest.mark.unit

SECOND = bytes(16_000)
PARENT = common_pb2.TraceContext(traceparent="00-1-1-01")


class Ears:
    """A turn detector and a recogniser that note what they are told."""

    def __init__(self) -> None:
        self.ready = common_pb2.Ready()
        self.told: list[Any] = []

    async def hear(self, piece: Piece) -> None:
        self.told.append(piece.sequence)

    def follow_turn(self, parent: common_pb2.TraceContext) -> None:
        self.told.append(("turn", parent))

    def report_words(self, text: str, language_code: str) -> None:
        self.told.append((text, language_code))

    def begin_new_turn(self) -> None:
        self.told.append("new turn")

    def recognize(self, from_s: float) -> None:
        self.told.append(from_s)

    def finalize(self, parent: common_pb2.TraceContext) -> None:
        self.told.append(("finalize", parent))

    def discard(self) -> None:
        self.told.append("discard")


class Scene:
    """A microphone between two fakes."""

    def __init__(self, *, may_skip: bool = False, next_sequence: int = 0, encoding: Encoding = Encoding.S16LE) -> None:
        audio_format = AudioFormat(encoding, 8000)
        self.detector, self.recognizer, self.events = Ears(), Ears(), list[Event]()
        self.timeline = AudioTimeline(audio_format, next_sequence)
        settings = Settings(audio_format, pause_s=0.1, pre_roll_s=0.5, may_skip=may_skip)
        self.microphone = Microphone(settings, self.timeline, self.detector, self.recognizer, self.events.append)

    async def send(self, *sequences: int, data: bytes = SECOND) -> list[int]:
        return [
            await self.microphone.chunk(conversation_pb2.AudioChunk(sequence=sequence, data=data))
            for sequence in sequences
        ]


async def test_both_hear_each_piece_once_and_repeats_are_dropped() -> None:
    scene = Scene()
    assert await scene.send(0, 1, 0, 1, 2) == [0, 1, 1, 1, 2]
    assert scene.detector.told == scene.recognizer.told == [0, 1, 2]


async def test_a_hole_is_refused_unless_another_coordinator_has_heard_what_is_missing() -> None:
    with pytest.raises(InvalidArgument, match="must be 1, the next one, not 2"):
        await Scene().send(0, 2)
    scene = Scene(may_skip=True, next_sequence=4)
    assert await scene.send(7) == [7]
    assert scene.timeline.end_s == 4.0
    with pytest.raises(InvalidArgument, match="must be 8, the next one, not 9"):
        await scene.send(9)


@pytest.mark.parametrize("data", [b"", b"\0", bytes(64 * 1024 + 2)])
async def test_what_is_no_audio_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidArgument, match=r"audio\.data"):
        await Scene().send(0, data=data)


async def test_floats_that_are_none_are_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"audio\.data"):
        await Scene(encoding=Encoding.F32LE).send(0, data=b"\0\0\xc0\x7f")


async def test_a_turn_begins_with_some_pre_roll_goes_on_after_a_pause_and_ends() -> None:
    scene = Scene()
    listening = scene.microphone
    listening.start_recognition(2.0, PARENT)
    listening.start_recognition(3.0, PARENT)
    listening.finalize(PARENT)
    listening.report_words("What is", "en")
    listening.report_words("What is", "en")
    listening.begin_new_turn()
    listening.report_words("late", "en")
    assert scene.recognizer.told == [1.5, ("finalize", PARENT), "discard"]
    assert scene.detector.told == [("turn", PARENT), ("turn", PARENT), ("What is", "en"), "new turn"]


async def test_a_turns_audio_is_needed_until_it_is_settled_and_one_that_failed_is_needed_no_more() -> None:
    scene = Scene()
    await scene.send(*range(20))
    scene.microphone.detected(SpeechStarted(15.0))
    scene.microphone.start_recognition(15.0, PARENT)
    await scene.send(*range(20, 40))
    assert scene.microphone.needed.offset_s == 15.0 - LEAD_S
    scene.microphone.detected(SpeechStopped(36.95))
    scene.microphone.begin_new_turn()
    assert scene.microphone.needed.offset_s == 15.0 - LEAD_S
    scene.microphone.settle()
    assert scene.microphone.needed.offset_s == 37.0
    scene.microphone.start_recognition(39.0, PARENT)
    scene.microphone.discard_audio()
    scene.microphone.settle()
    assert scene.microphone.needed.offset_s == 40.0
    assert scene.events == [SpeechStarted(15.0), SpeechStopped(36.95)]
