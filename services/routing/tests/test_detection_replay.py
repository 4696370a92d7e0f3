"""A turn detector that takes over hears the turn in progress, and nothing is reported twice."""

from __future__ import annotations

import pytest

from voxmesh.common.v1 import common_pb2
from voxmesh.turn.v1 import turn_pb2
from voxmesh_routing.replays.detection import (
    QUIET_S,
    DetectorReplay,
    NewTurn,
    Response,
    Turn,
    Words,
)
from voxmesh_routing.timeline import LATE_S, AudioTimeline
from voxmesh_runtime.audio import AudioFormat
from voxmesh_runtime.clock import duration, seconds_of
from voxmesh_runtime.outcomes import applied, ready

pytestmark = pytest.mark.unit

SECOND = bytes(16_000)
BY_WORDS = ready("", "one", "", [applied("config.transcripts")])
BY_SOUND = ready("", "other", "", [])
PARENT = common_pb2.TraceContext(traceparent="00-1-1-01")


class Scene:
    """A replay and its audio."""

    def __init__(self) -> None:
        self.timeline = AudioTimeline(AudioFormat(sample_rate_hertz=8000))
        self.replay = DetectorReplay(turn_pb2.TurnDetectionConfig(), self.timeline)
        self.replay.pending(BY_WORDS)

    def audio(self, seconds: int) -> None:
        for _ in range(seconds):
            piece = self.timeline.add(bytes([int(self.timeline.end_s)]) + SECOND[1:], 0)
            (request,) = self.replay.sent(piece)
            assert request.audio == piece.data

    def reopen(self, by: common_pb2.Ready = BY_WORDS) -> list[str]:
        """Another detector takes over; what it hears."""
        requests = self.replay.pending(by)
        return [str(r.audio[0]) if r.HasField("audio") else r.WhichOneof("streaming_request") or "" for r in requests]

    def started(self, at_s: float) -> float | None:
        own = self.replay.received(Response(speech_started=duration(at_s)))
        return None if own is None else seconds_of(own.speech_started)

    def stopped(self, at_s: float) -> float | None:
        own = self.replay.received(Response(speech_stopped=duration(at_s)))
        return None if own is None else seconds_of(own.speech_stopped)

    def judged(self) -> bool:
        return self.replay.received(Response(end_of_turn=turn_pb2.EndOfTurn(probability=0.5))) is not None


def test_while_nobody_speaks_only_what_may_be_a_beginning_is_heard_again() -> None:
    scene = Scene()
    assert not scene.replay.is_owing
    scene.audio(20)
    assert scene.reopen() == [str(second) for second in range(20 - round(QUIET_S), 20)]
    # Silence heard again is a little later in the microphone's audio than in the call.
    assert scene.started(2.5) == 19.5


def test_the_turn_in_progress_is_heard_again_with_its_words_and_what_was_told_of_it_is_not_told_again() -> None:
    scene = Scene()
    scene.audio(20)
    assert scene.started(12.0) == 12.0
    scene.replay.sent(Turn(PARENT))
    scene.replay.sent(Words("What is", "en"))
    assert scene.stopped(18.0) == 18.0
    assert scene.reopen()[:3] == ["trace_context", "transcript", str(20 - round(LATE_S))]
    assert scene.started(2.1) is None
    # A judgement on a pause that is over, or not the one in progress.
    assert not scene.judged()
    assert scene.stopped(7.9) is None
    assert scene.judged()
    scene.audio(2)
    assert scene.started(10.5) == 20.5
    assert scene.stopped(11.5) == 21.5


def test_one_that_hears_the_pause_elsewhere_is_followed_from_where_its_owner_is() -> None:
    scene = Scene()
    scene.audio(8)
    scene.replay.sent(Turn(PARENT))
    assert scene.started(1.0) == 1.0
    scene.reopen()
    # It found a pause that the one before did not, and both agree that somebody speaks by now.
    assert scene.started(1.1) is None
    assert scene.stopped(3.0) == 3.0
    assert scene.started(3.6) == 3.6


def test_a_judgement_on_an_earlier_pause_is_none_on_the_one_in_progress() -> None:
    scene = Scene()
    scene.audio(10)
    scene.replay.sent(Turn(PARENT))
    for at_s in (1.0, 5.0):
        assert scene.started(at_s) == at_s
        assert scene.stopped(at_s + 2.0) == at_s + 2.0
    scene.reopen()
    assert scene.started(1.0) is None
    assert scene.stopped(3.0) is None
    assert not scene.judged()
    assert scene.started(5.0) is None
    assert scene.stopped(7.0) is None
    assert scene.judged()


def test_speech_that_began_before_what_is_heard_again_does_not_begin_twice() -> None:
    scene = Scene()
    scene.audio(20)
    scene.replay.sent(Turn(PARENT))
    assert scene.started(1.0) == 1.0
    scene.reopen()
    assert scene.started(0.0) is None
    assert scene.stopped(8.0) == 18.0


def test_words_go_to_those_alone_who_judge_by_them() -> None:
    scene = Scene()
    assert len(scene.replay.sent(Words("What", "en"))) == 1
    scene.replay.sent(Turn(PARENT))
    assert scene.reopen(BY_SOUND) == ["trace_context"]
    assert scene.replay.sent(Words("What is", "en")) == []
    assert scene.reopen(BY_WORDS) == ["trace_context", "transcript"]


def test_a_turn_that_is_over_is_not_heard_again() -> None:
    scene = Scene()
    scene.audio(10)
    scene.started(6.0)
    scene.replay.sent(Turn(PARENT))
    scene.replay.sent(Words("Yes.", "en"))
    scene.stopped(8.0)
    scene.replay.sent(NewTurn())
    assert not scene.replay.is_owing
    scene.audio(1)
    assert scene.reopen() == ["10"]
    assert scene.started(0.5) == 10.5


def test_judgements_and_times_are_moved() -> None:
    scene = Scene()
    scene.audio(10)
    scene.reopen()
    assert scene.started(1.0) == 8.0
    assert scene.stopped(2.0) == 9.0
    own = scene.replay.received(Response(end_of_turn=turn_pb2.EndOfTurn(received_audio_duration=duration(2.5))))
    assert own is not None
    assert seconds_of(own.end_of_turn.received_audio_duration) == 9.5
