"""One session without a server: Silero on real speech, and what the end of turn is judged by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from voxmesh_runtime.audio import Samples
from voxmesh_testing.turn import RATE, silence, speech
from voxmesh_turn.engine import DetectionOptions, Event, SpeechStarted, SpeechStopped
from voxmesh_turn_silero_smart_turn.session import PRE_ROLL_S, SileroSession
from voxmesh_turn_silero_smart_turn.voice import Detectors

pytestmark = pytest.mark.engine


@pytest.fixture
def detectors() -> Detectors:
    return Detectors()


@pytest.fixture
def session(detectors: Detectors) -> Iterator[SileroSession]:
    opened = SileroSession(DetectionOptions(), detectors, 8 * RATE)
    yield opened
    opened.close()


def fed(session: SileroSession, *parts: Samples) -> Sequence[Event]:
    audio = np.concatenate(parts)
    return [event for begin in range(0, len(audio), 1600) for event in session.feed(audio[begin : begin + 1600])]


def turn_s(events: Sequence[Event]) -> float:
    stopped = events[-1]
    assert isinstance(stopped, SpeechStopped)
    return len(stopped.turn) / RATE


def test_a_turn_is_judged_from_shortly_before_its_first_speech(session: SileroSession) -> None:
    started, stopped = fed(session, silence(3), speech(), silence(0.3))
    assert isinstance(started, SpeechStarted)
    assert isinstance(stopped, SpeechStopped)
    silence_s = turn_s([stopped]) - PRE_ROLL_S - (stopped.offset_s - started.offset_s)
    assert 0.2 <= silence_s < 0.25


def test_a_pause_belongs_to_the_turn(session: SileroSession) -> None:
    one = turn_s(fed(session, silence(1), speech(), silence(1)))
    both = turn_s(fed(session, speech(), silence(1)))
    assert both == pytest.approx(one + 1 + len(speech()) / RATE, abs=0.15)


def test_of_a_long_turn_the_last_eight_seconds_are_judged(session: SileroSession) -> None:
    events = fed(session, *[speech()] * 5, silence(0.5))
    assert turn_s(events) == 8.0


def test_a_new_turn_holds_nothing_of_the_one_before(session: SileroSession) -> None:
    one = turn_s(fed(session, silence(1), speech(), silence(1)))
    session.new_turn()
    assert turn_s(fed(session, silence(1), speech(), silence(1))) == pytest.approx(one, abs=0.1)


def test_a_new_turn_in_mid_speech_keeps_speech_going(session: SileroSession) -> None:
    sentence = speech()
    assert len(fed(session, silence(1), sentence[:RATE])) == 1
    session.new_turn()
    events = fed(session, sentence[RATE:], silence(0.3))
    assert [type(event) for event in events] == [SpeechStopped]
    assert turn_s(events) < len(sentence[RATE:]) / RATE + 0.3


def test_a_verdicts_audio_does_not_change_when_the_stream_goes_on(session: SileroSession) -> None:
    stopped = fed(session, silence(1), speech(), silence(0.3))[-1]
    assert isinstance(stopped, SpeechStopped)
    before = stopped.turn.copy()
    fed(session, *[speech()] * 4)
    np.testing.assert_array_equal(stopped.turn, before)


def test_a_detector_that_is_used_again_has_forgotten_the_stream_before(detectors: Detectors) -> None:
    heard: list[list[float]] = []
    for before in (silence(0), speech()):
        first = SileroSession(DetectionOptions(), detectors, 8 * RATE)
        fed(first, before)
        first.close()
        second = SileroSession(DetectionOptions(), detectors, 8 * RATE)
        heard.append([event.offset_s for event in fed(second, silence(0.5), speech(), silence(0.5))])
        second.close()
    assert heard[0] == heard[1]


def test_an_hour_of_digital_silence_does_not_delay_the_next_speech(session: SileroSession) -> None:
    fed(session, silence(3600))
    started = fed(session, speech())[0]
    assert started.offset_s == pytest.approx(3600, abs=0.15)
