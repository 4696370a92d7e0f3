"""A reply whose voice breaks is spoken on by another one, in its own offsets and characters."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmesh.common.v1 import common_pb2
from voxmesh.tts.v1 import tts_pb2
from voxmesh_routing.replays.synthesis import (
    CHARACTERS_PER_S,
    Begun,
    Cancel,
    End,
    Request,
    Response,
    Say,
    Speak,
    VoiceReplay,
)
from voxmesh_runtime.audio import AudioFormat
from voxmesh_runtime.clock import duration, seconds_of

pytestmark = pytest.mark.unit

READY, PARENT = common_pb2.Ready(), common_pb2.TraceContext()
FORMAT = AudioFormat(sample_rate_hertz=8000)
STORY = "There was a king. He had three sons. They went away."


def replay() -> VoiceReplay:
    made = VoiceReplay(tts_pb2.SynthesisConfig(), FORMAT)
    assert made.pending(READY) == []
    return made


def kinds(requests: Sequence[Request]) -> list[str]:
    return [r.text.text if r.HasField("text") else r.WhichOneof("streaming_request") or "" for r in requests]


def audio(offset_s: float, seconds: float, start: int, end: int, index: int = 0) -> Response:
    data = bytes(2 * round(seconds * 8000))
    return Response(
        audio=tts_pb2.SegmentAudio(
            segment_index=index, data=data, offset=duration(offset_s), text_start=start, text_end=end
        )
    )


def finished(index: int = 0) -> Response:
    return Response(segment_finished=tts_pb2.SegmentFinished(segment_index=index))


def place(response: Response | None) -> tuple[float, float, int, int] | None:
    """Where a piece lies: its offset and length in seconds, and the characters of its clause."""
    if response is None:
        return None
    piece = response.audio
    return seconds_of(piece.offset), len(piece.data) / 16_000, piece.text_start, piece.text_end


def test_text_is_said_as_it_comes_and_one_reply_takes_the_place_of_another() -> None:
    voice = replay()
    assert kinds(voice.sent(Speak(1, PARENT))) == []
    assert not voice.is_owing
    assert kinds(voice.sent(Say("There was "))) == ["There was "]
    assert kinds(voice.sent(Speak(2, PARENT))) == ["cancel"]
    assert kinds(voice.sent(Cancel(1))) == []
    assert kinds(voice.sent(Say("Yes."))) == ["Yes."]
    assert kinds(voice.sent(End())) == ["end_of_segment"]
    assert voice.received(finished(0)) is None
    own = voice.received(finished(1))
    assert own is not None
    assert own.segment_finished.segment_index == 2
    assert kinds(voice.sent(Cancel(2))) == kinds(voice.sent(Say("late"))) == []


def test_a_reply_without_text_is_none() -> None:
    voice = replay()
    voice.sent(Speak(1, PARENT))
    assert kinds(voice.sent(End())) == []
    assert kinds(voice.sent(Cancel(1))) == []


def test_the_clauses_that_were_not_spoken_are_spoken_by_the_next() -> None:
    voice = replay()
    voice.sent(Speak(1, PARENT))
    voice.sent(Say(STORY))
    voice.sent(End())
    assert place(voice.received(audio(0.0, 1.5, 0, 17))) == (0.0, 1.5, 0, 17)
    again = voice.pending(READY)
    assert kinds(again) == [STORY[17:], "end_of_segment"]
    assert not again[0].text.continues
    # Its offsets and characters begin where the one before stopped.
    assert place(voice.received(audio(0.0, 1.0, 1, 19))) == (1.5, 1.0, 18, 36)
    word = voice.received(Response(word_timing=tts_pb2.WordTiming(text="He", start_offset=duration(0.25))))
    assert word is not None
    assert seconds_of(word.word_timing.start_offset) == 1.75
    assert voice.received(finished()) is not None
    assert not voice.is_owing


def test_a_clause_that_is_cut_goes_on_at_a_word_by_how_fast_people_speak() -> None:
    voice = replay()
    voice.sent(Speak(1, PARENT))
    voice.sent(Say(STORY))
    voice.received(audio(0.0, 12 / CHARACTERS_PER_S, 0, 17))
    assert kinds(voice.pending(READY)) == [STORY[12:]]


def test_all_that_is_left_may_be_the_end() -> None:
    voice = replay()
    voice.sent(Speak(1, PARENT))
    voice.sent(Say("Yes."))
    voice.received(audio(0.0, 1.0, 0, 4))
    voice.sent(End())
    assert kinds(voice.pending(READY)) == ["end_of_segment"]
    assert voice.received(finished()) is not None


def test_text_that_comes_after_a_break_belongs_to_the_rest() -> None:
    voice = replay()
    voice.sent(Speak(1, PARENT))
    voice.sent(Say("Yes."))
    voice.received(audio(0.0, 1.0, 0, 4))
    assert kinds(voice.pending(READY)) == []
    assert kinds(voice.sent(Say(" No."))) == [" No."]
    assert place(voice.received(audio(0.0, 0.5, 1, 4))) == (1.0, 0.5, 5, 8)


BEGUN = Begun(STORY, 18, 1.5, known_s=2.25, got_s=2.25)


def test_what_another_coordinator_began_is_spoken_from_its_clause_on_without_what_the_client_has() -> None:
    voice = replay()
    (text,) = voice.sent(Speak(1, PARENT, BEGUN))
    assert (text.text.text, text.text.continues) == (STORY[18:], True)
    assert voice.received(audio(0.0, 0.5, 0, 18)) is None
    assert place(voice.received(audio(0.5, 0.5, 0, 18))) == (2.25, 0.25, 18, 36)
    assert place(voice.received(audio(1.0, 1.0, 19, 34))) == (2.5, 1.0, 37, 52)


def test_a_clause_that_is_shorter_this_time_costs_the_next_nothing() -> None:
    voice = replay()
    voice.sent(Speak(1, PARENT, BEGUN))
    assert voice.received(audio(0.0, 0.5, 0, 18)) is None
    assert place(voice.received(audio(0.5, 1.0, 19, 34))) == (2.25, 1.0, 37, 52)


def test_clauses_that_only_the_client_knows_of_are_left_out_whole() -> None:
    voice = replay()
    voice.sent(Speak(1, PARENT, Begun(STORY, 18, 1.5, known_s=2.0, got_s=3.25)))
    assert voice.received(audio(0.0, 0.5, 0, 18)) is None
    assert voice.received(audio(0.5, 0.5, 0, 18)) is None
    assert voice.received(audio(1.0, 0.5, 19, 34)) is None
    assert place(voice.received(audio(1.5, 0.5, 19, 34))) == (3.25, 0.25, 37, 52)
    assert place(voice.received(audio(2.0, 0.5, 19, 34))) == (3.5, 0.5, 37, 52)


def test_a_break_before_anything_new_was_heard_leaves_the_clause_whole() -> None:
    voice = replay()
    voice.sent(Speak(1, PARENT, BEGUN))
    voice.received(audio(0.0, 0.5, 0, 18))
    (text,) = voice.pending(READY)
    assert (text.text.text, text.text.continues) == (STORY[18:], True)
    assert place(voice.received(audio(0.5, 0.5, 0, 18))) == (2.25, 0.25, 18, 36)


def test_long_text_is_cut_into_messages() -> None:
    voice = replay()
    voice.sent(Speak(1, PARENT))
    assert [len(request.text.text) for request in voice.sent(Say("a" * 25_000))] == [10_000, 10_000, 5_000]


CLAUSES = ["Once upon a time.", " There was a king.", " He had three sons.", " They went away.", " The end."]


@settings(deadline=None)
@given(st.lists(st.sampled_from(["say", "speak", "speak", "break"]), max_size=30))
def test_whatever_breaks_between_clauses_each_is_spoken_once_and_nothing_overlaps(steps: list[str]) -> None:
    """The voices here speak a clause a second."""
    voice, clauses = replay(), list(CLAUSES)
    voice.sent(Speak(1, PARENT))
    waiting, spoken, here_s, here_text = "", list[tuple[int, int]](), 0.0, 0
    said = ""

    def speak() -> None:
        nonlocal waiting, here_s, here_text
        if "." not in waiting:
            return
        length = waiting.index(".") + 1
        text, waiting = waiting[:length], waiting[length:]
        start = here_text + len(text) - len(text.lstrip())
        own = voice.received(audio(here_s, 10.0, start, here_text + length))
        assert own is not None
        assert seconds_of(own.audio.offset) == 10.0 * len(spoken)
        spoken.append((own.audio.text_start, own.audio.text_end))
        here_s, here_text = here_s + 10.0, here_text + length

    for step in [*steps, *["say", "speak"] * len(CLAUSES), *["speak"] * len(CLAUSES)]:
        match step:
            case "say" if clauses:
                said += clauses[0]
                waiting += "".join(kinds(voice.sent(Say(clauses.pop(0)))))
            case "speak":
                speak()
            case "break":
                waiting, here_s, here_text = "".join(kinds(voice.pending(READY))), 0.0, 0
            case _:
                pass
    assert [said[start:end] for start, end in spoken] == [clause.strip() for clause in CLAUSES]
