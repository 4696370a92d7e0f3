"""What a recogniser has not answered is heard again by another one, and answers lie in the microphone's audio."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmesh.common.v1 import common_pb2
from voxmesh.stt.v1 import stt_pb2
from voxmesh_routing.replays.recognition import (
    Discard,
    Finalize,
    Recognize,
    RecognizerReplay,
    Request,
    Response,
)
from voxmesh_routing.timeline import KEPT_S, AudioTimeline
from voxmesh_runtime.audio import AudioFormat
from voxmesh_runtime.clock import duration, seconds_of

pytestmark = pytest.mark.unit

SECOND = bytes(16_000)
READY = common_pb2.Ready()


class Scene:
    """A replay, its audio second by second, and a recogniser that counts what it hears."""

    def __init__(self) -> None:
        self.timeline = AudioTimeline(AudioFormat(sample_rate_hertz=8000))
        self.replay = RecognizerReplay(stt_pb2.RecognitionConfig(), self.timeline)
        self.heard_s = 0.0
        self.said: list[str] = []

    def audio(self, seconds: int) -> None:
        for _ in range(seconds):
            piece = self.timeline.add(bytes([int(self.timeline.end_s)]) + SECOND[1:], 0)
            self._hear(self.replay.sent(piece))

    def recognize(self, from_s: float) -> None:
        self._hear(self.replay.sent(Recognize(from_s)))

    def finalize(self) -> None:
        self._hear(self.replay.sent(Finalize(common_pb2.TraceContext())))

    def discard(self) -> None:
        self._hear(self.replay.sent(Discard()))

    def reopen(self) -> list[str]:
        """Another recogniser takes over; what it hears."""
        self.heard_s, self.said = 0.0, []
        self._hear(self.replay.pending(READY))
        return self.said

    def result(self, end_s: float, index: int = 0, *, is_final: bool = False) -> tuple[int, float] | None:
        """An answer in the recogniser's own offsets; its number and end as the owner sees it."""
        result = stt_pb2.RecognitionResult(utterance_index=index, is_final=is_final, end_offset=duration(end_s))
        own = self.replay.received(Response(result=result))
        return None if own is None else (own.result.utterance_index, seconds_of(own.result.end_offset))

    def finalized(self, index: int = 0) -> bool:
        finalized = stt_pb2.Finalized(utterance_index=index)
        return self.replay.received(Response(finalized=finalized)) is not None

    def _hear(self, requests: Sequence[Request]) -> None:
        for request in requests:
            kind = request.WhichOneof("streaming_request") or ""
            # The first sample of each second says which it is.
            self.said.append(str(request.audio[0]) if kind == "audio" else kind)
            self.heard_s += len(request.audio) / 16_000


def test_speech_is_heard_from_a_moment_on_and_nothing_after_the_turn() -> None:
    scene = Scene()
    scene.audio(3)
    assert not scene.replay.is_owing
    scene.recognize(1.5)
    scene.audio(1)
    scene.recognize(3.5)
    scene.finalize()
    scene.discard()
    scene.discard()
    scene.audio(1)
    assert scene.said == ["1", "2", "3", "finalize", "discard"]
    assert not scene.replay.is_owing


def test_answers_lie_in_the_microphones_audio_whatever_was_left_out_between_two_turns() -> None:
    scene = Scene()
    scene.audio(3)
    scene.recognize(2.0)
    scene.audio(2)
    assert scene.result(1.5) == (0, 3.5)
    scene.discard()
    scene.audio(10)
    scene.recognize(14.0)
    scene.audio(1)
    # It has heard seconds 2 to 5 and from 14 on.
    assert scene.result(4.0, 1) == (1, 15.0)
    # The end of the turn before is in that turn.
    assert scene.result(3.0, 0) is None


def test_what_was_answered_is_forgotten_in_order_and_marks_are_not_passed() -> None:
    scene = Scene()
    scene.recognize(0.0)
    scene.audio(3)
    assert scene.result(2.0, 0, is_final=True) == (0, 2.0)
    assert scene.reopen() == ["2"]
    scene.finalize()
    scene.audio(2)
    # A result beyond the mark, which is not answered.
    assert scene.result(3.0, 0, is_final=True) == (1, 5.0)
    assert scene.reopen() == ["finalize", "3", "4"]
    assert scene.finalized()
    assert scene.reopen() == ["3", "4"]
    assert not scene.finalized()


def test_utterances_are_numbered_over_all_breaks() -> None:
    scene = Scene()
    scene.recognize(0.0)
    scene.audio(1)
    assert scene.result(0.5, 0) == (0, 0.5)
    scene.reopen()
    assert scene.result(0.5, 0) == (0, 0.5)
    assert scene.result(1.0, 0, is_final=True) == (0, 1.0)
    scene.audio(1)
    scene.reopen()
    assert scene.result(1.0, 0) == (1, 2.0)


def test_finalizes_that_were_discarded_are_not_taken_for_later_ones() -> None:
    scene = Scene()
    scene.recognize(0.0)
    scene.audio(1)
    scene.finalize()
    scene.discard()
    scene.recognize(0.5)
    scene.audio(1)
    scene.finalize()
    assert scene.replay.awaited == 2
    assert scene.result(1.0, 0, is_final=True) is None
    assert not scene.finalized()
    assert scene.replay.awaited == 2
    assert scene.finalized(2)
    assert scene.replay.awaited is None


def test_a_recogniser_that_says_nothing_gets_the_last_minute_again() -> None:
    scene = Scene()
    scene.recognize(0.0)
    scene.audio(200)
    again = scene.reopen()
    assert len(again) == KEPT_S
    assert again[-1] == "199"


def test_words_and_the_audio_that_a_result_rests_on_are_moved_too() -> None:
    scene = Scene()
    scene.audio(5)
    scene.recognize(4.0)
    word = stt_pb2.Word(text="hi", start_offset=duration(0.25), end_offset=duration(0.75))
    result = stt_pb2.RecognitionResult(
        words=[word], end_offset=duration(1.0), received_audio_duration=duration(1.0), is_final=True
    )
    own = scene.replay.received(Response(result=result))
    assert own is not None
    (moved,) = own.result.words
    offsets = (moved.start_offset, moved.end_offset, own.result.end_offset, own.result.received_audio_duration)
    assert [seconds_of(offset) for offset in offsets] == [4.25, 4.75, 5.0, 5.0]


STEPS = st.lists(st.sampled_from(["audio", "audio", "finalize", "answer", "final", "break"]), max_size=40)


@settings(deadline=None)
@given(STEPS)
def test_whatever_breaks_when_each_finalize_is_answered_once_with_all_that_was_said_before_it(steps: list[str]) -> None:
    """The recogniser here answers in order, late, and remembers nothing over a break."""
    scene, asked, answered, final_s = Scene(), list[float](), list[float](), 0.0
    scene.recognize(0.0)

    def answer() -> None:
        """Answer the first finalize that was heard, by a result for all before it."""
        nonlocal final_s
        index = scene.said.index("finalize")
        own = scene.result(float(sum(each.isdigit() for each in scene.said[:index])), is_final=True)
        assert own is not None
        # What was final before is not heard again.
        assert own[1] >= final_s
        final_s = own[1]
        assert scene.finalized()
        answered.append(own[1])
        scene.said[index] = "answered"

    for step in [*steps, "break", *["answer"] * 40]:
        match step:
            case "audio":
                scene.audio(1)
            case "finalize":
                scene.finalize()
                asked.append(scene.timeline.end_s)
            case "break":
                scene.reopen()
            case "answer" if "finalize" in scene.said:
                answer()
            case "final" if "finalize" not in scene.said and scene.heard_s:
                own = scene.result(scene.heard_s, is_final=True)
                assert own is not None
                final_s = own[1]
            case _:
                pass
    assert answered == asked
