"""Streams do not wait for the server until they must, nor for one another's interim results."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.batcher import SomeFailed
from voxmesh_runtime.errors import Overloaded, Unavailable
from voxmesh_stt.engine import RecognitionOptions, Session, Step, Transcript
from voxmesh_stt_openai_audio.engine import OpenAiAudioEngine
from voxmesh_stt_openai_audio.testing import Play, TranscriptionServer, Upload, says, streams

pytestmark = pytest.mark.engine

Connect = Callable[..., OpenAiAudioEngine]
RATE_HERTZ = 16000
NOTHING = np.zeros(0, np.float32)
PLAIN = RecognitionOptions(language_codes=("en",))
INTERIM = RecognitionOptions(language_codes=("en",), interim_results=True)
LONG_S = 600.0
"""Longer than any test may take: one that waits for it fails."""


def _silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE_HERTZ), np.float32)


def _feed(engine: OpenAiAudioEngine, session: Session, samples: Samples, *, is_final: bool = False) -> list[Transcript]:
    return list(engine.step([Step(session, samples, is_final=is_final)])[0])


def _until(engine: OpenAiAudioEngine, session: Session, count: int = 1) -> list[Transcript]:
    """Step with silence until so many transcripts came."""
    found: list[Transcript] = []
    until = time.monotonic() + 10
    while len(found) < count:
        assert time.monotonic() < until
        time.sleep(0.02)
        found += _feed(engine, session, NOTHING)
    return found


def _wait(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def _seconds_sent(server: TranscriptionServer) -> list[float]:
    return [(len(upload.wav) - 44) / 2 / RATE_HERTZ for upload in server.uploads]


def test_silence_is_never_sent(server: TranscriptionServer, connect: Connect) -> None:
    engine = connect()
    session = engine.open(INTERIM)
    server.play(says("Hello."))
    assert _feed(engine, session, _silence(20)) == []
    (final,) = _feed(engine, session, NOTHING, is_final=True)
    assert (final.text, final.is_final) == ("", True)
    assert server.uploads == []


def test_an_interim_result_is_not_waited_for(server: TranscriptionServer, connect: Connect, speech: Samples) -> None:
    engine = connect(interim_timeout_s=LONG_S)
    session = engine.open(INTERIM)
    goes_on = threading.Event()

    def answer(_: Upload) -> Play:
        goes_on.wait(LONG_S)
        return says("He was")

    server.play()
    server.compute = answer
    assert _feed(engine, session, speech[:RATE_HERTZ]) == []
    goes_on.set()
    (interim,) = _until(engine, session)
    assert (interim.text, interim.is_final, interim.language_code) == ("He was", False, "en")


def test_a_final_takes_the_place_of_an_interim(server: TranscriptionServer, connect: Connect, speech: Samples) -> None:
    engine = connect(interim_timeout_s=LONG_S)
    session = engine.open(INTERIM)
    server.play(Play(pause_s=LONG_S), says("He was."))
    _feed(engine, session, speech[:RATE_HERTZ])
    _wait(lambda: len(server.uploads) == 1)
    (final,) = _feed(engine, session, speech[RATE_HERTZ:], is_final=True)
    assert final.text == "He was."
    _wait(lambda: server.hang_ups == 1)


def test_an_interim_of_another_stream_is_not_waited_for(
    server: TranscriptionServer, connect: Connect, speech: Samples
) -> None:
    engine = connect(interim_timeout_s=LONG_S)
    slow, quick = engine.open(INTERIM), engine.open(PLAIN)
    server.play(Play(pause_s=LONG_S), says("He was."))
    _feed(engine, slow, speech[:RATE_HERTZ])
    _wait(lambda: len(server.uploads) == 1)
    (final,) = _feed(engine, quick, speech, is_final=True)
    assert final.text == "He was."
    slow.close()
    _wait(lambda: server.hang_ups == 1)


def test_finals_of_many_streams_go_out_at_once(server: TranscriptionServer, connect: Connect, speech: Samples) -> None:
    engine = connect(max_concurrent_requests=4)
    sessions = [engine.open(PLAIN) for _ in range(4)]
    together = threading.Barrier(4, timeout=10)

    def answer(upload: Upload) -> Play:
        together.wait()
        return says(f"{len(upload.wav)}")

    server.play()
    server.compute = answer
    lengths = [1.0, 1.5, 2.0, 2.5]
    steps = [Step(s, speech[: round(t * RATE_HERTZ)], is_final=True) for s, t in zip(sessions, lengths, strict=True)]
    texts = [transcripts[-1].text for transcripts in engine.step(steps)]
    assert texts == sorted(texts, key=int)
    assert len(set(texts)) == 4


def test_the_server_never_gets_more_than_its_share(
    server: TranscriptionServer, connect: Connect, speech: Samples
) -> None:
    engine = connect(max_concurrent_requests=2)
    sessions = [engine.open(PLAIN) for _ in range(6)]
    server.play(Play(says("Fine.").body, pause_s=0.1))
    server.most_at_once = 0
    results = engine.step([Step(session, speech, is_final=True) for session in sessions])
    assert [transcripts[-1].text for transcripts in results] == ["Fine."] * 6
    assert server.most_at_once == 2


def test_interims_leave_room_for_finals(server: TranscriptionServer, connect: Connect, speech: Samples) -> None:
    engine = connect(max_concurrent_requests=4, interim_share=0.5, interim_timeout_s=LONG_S)
    sessions = [engine.open(INTERIM) for _ in range(6)]
    server.play(Play(pause_s=LONG_S))
    engine.step([Step(session, speech[:RATE_HERTZ], is_final=False) for session in sessions])
    _wait(lambda: len(server.uploads) == 2)
    time.sleep(0.2)
    assert len(server.uploads) == 2
    for session in sessions:
        session.close()


def test_with_one_request_at_a_time_a_final_pushes_an_interim_out(
    server: TranscriptionServer, connect: Connect, speech: Samples
) -> None:
    engine = connect(max_concurrent_requests=1, interim_timeout_s=LONG_S)
    slow, quick = engine.open(INTERIM), engine.open(PLAIN)
    server.play(Play(pause_s=LONG_S), says("He was."))
    _feed(engine, slow, speech[:RATE_HERTZ])
    _wait(lambda: len(server.uploads) == 1)
    assert _feed(engine, quick, speech, is_final=True)[-1].text == "He was."
    assert _feed(engine, slow, NOTHING, is_final=True)[-1].text == "He was."


def test_a_final_that_finds_no_room_is_told_so(connect: Connect, speech: Samples) -> None:
    engine = connect(max_concurrent_requests=1, timeout_s=0.3, start_timeout_s=10)
    connection = engine._connected()
    connection.loop.submit(connection.calls._slots.acquire()).result()
    session = engine.open(PLAIN)
    with pytest.raises(SomeFailed) as failed:
        _feed(engine, session, speech, is_final=True)
    (error,) = failed.value.results
    assert isinstance(error, Overloaded)
    assert "all 1 requests" in error.message


def test_what_was_written_by_the_deadline_is_an_interim_result(
    server: TranscriptionServer, connect: Connect, speech: Samples
) -> None:
    done = {"type": "transcript.text.done", "text": "He was."}
    server.play(says("He was."), streams(done))
    engine = connect(interim_timeout_s=1)
    session = engine.open(INTERIM)
    deltas = [{"type": "transcript.text.delta", "delta": text} for text in ("He was ", "not")]
    server.play(streams(*deltas, gap_s=LONG_S))
    _feed(engine, session, speech[:RATE_HERTZ])
    (interim,) = _until(engine, session)
    assert interim.text == "He was"
    assert not interim.is_final


def test_a_hanging_interim_is_given_up(server: TranscriptionServer, connect: Connect, speech: Samples) -> None:
    engine = connect(interim_timeout_s=0.2)
    session = engine.open(INTERIM)
    server.play(Play(pause_s=LONG_S))
    _feed(engine, session, speech[:RATE_HERTZ])
    _wait(lambda: server.hang_ups == 1)
    server.play(says("He was."))
    assert _feed(engine, session, speech[RATE_HERTZ:], is_final=True)[-1].text == "He was."


def test_the_final_is_under_way_before_it_is_asked_for(
    server: TranscriptionServer, connect: Connect, speech: Samples
) -> None:
    engine = connect()
    session = engine.open(PLAIN)
    server.play(says("He was."))
    _feed(engine, session, np.concatenate([speech, _silence(0.4)]))
    _wait(lambda: len(server.uploads) == 1)
    (final,) = _feed(engine, session, _silence(0.1), is_final=True)
    assert final.text == "He was."
    assert len(server.uploads) == 1


def test_audio_goes_on_being_heard_while_an_answer_is_due(
    server: TranscriptionServer, connect: Connect, speech: Samples
) -> None:
    engine = connect()
    session = engine.open(INTERIM)
    server.play(Play(says("He was").body, pause_s=0.3))
    size = RATE_HERTZ // 10
    for begin in range(0, len(speech), size):
        _feed(engine, session, speech[begin : begin + size])
    _feed(engine, session, NOTHING, is_final=True)
    assert max(_seconds_sent(server)) > 2


def test_a_caller_far_ahead_of_the_server_is_held_back(
    server: TranscriptionServer, connect: Connect, speech: Samples
) -> None:
    engine = connect(interim_timeout_s=LONG_S)
    session = engine.open(INTERIM)
    server.play(Play(says("He was").body, pause_s=0.5))
    _feed(engine, session, speech[:RATE_HERTZ])
    _wait(lambda: len(server.uploads) == 1)
    (interim,) = _feed(engine, session, _silence(5))[:1]
    assert interim.text == "He was"


def test_discard_gives_up_what_is_under_way_and_keeps_the_clock(
    server: TranscriptionServer, connect: Connect, speech: Samples
) -> None:
    engine = connect(interim_timeout_s=LONG_S)
    session = engine.open(INTERIM)
    server.play(Play(pause_s=LONG_S), says("He was."))
    _feed(engine, session, speech[:RATE_HERTZ])
    _wait(lambda: len(server.uploads) == 1)
    _feed(engine, session, speech[RATE_HERTZ:])
    session.discard()
    _wait(lambda: server.hang_ups == 1)
    found = _feed(engine, session, np.concatenate([speech, _silence(2)]))
    found += _feed(engine, session, NOTHING, is_final=True)
    ended = next(transcript for transcript in found if transcript.is_final)
    assert ended.end_s is not None
    assert 2 * len(speech) / RATE_HERTZ - 0.5 < ended.end_s < 2 * len(speech) / RATE_HERTZ + 0.5


def test_an_utterance_that_ended_by_itself_is_told_when_its_answer_is_there(
    server: TranscriptionServer, connect: Connect, speech: Samples
) -> None:
    engine = connect()
    session = engine.open(PLAIN)
    server.play(Play(says("He was.").body, pause_s=0.3))
    assert _feed(engine, session, np.concatenate([speech, _silence(1.9)])) == []
    (ended,) = _until(engine, session)
    assert (ended.text, ended.is_final) == ("He was.", True)
    (empty,) = _feed(engine, session, NOTHING, is_final=True)
    assert empty.text == ""


def test_a_failure_between_two_steps_ends_the_stream_at_the_next(
    server: TranscriptionServer, connect: Connect, speech: Samples
) -> None:
    engine = connect(timeout_s=0.3, start_timeout_s=10)
    session = engine.open(PLAIN)
    server.play(Play(pause_s=LONG_S))
    _feed(engine, session, np.concatenate([speech, _silence(0.4)]))
    _wait(lambda: server.hang_ups == 1)
    with pytest.raises(SomeFailed) as failed:
        _until(engine, session)
    assert isinstance(failed.value.results[0], Unavailable)
    session.close()


def test_short_audio_is_filled_up(server: TranscriptionServer, connect: Connect, speech: Samples) -> None:
    engine = connect()
    session = engine.open(PLAIN)
    server.play(says("He."))
    loudest = int(np.argmax(np.abs(speech)))
    _feed(engine, session, speech[loudest - 2400 : loudest + 2400], is_final=True)
    assert all(seconds >= 0.5 for seconds in _seconds_sent(server))


def test_closing_the_engine_ends_requests_under_way(
    server: TranscriptionServer, connect: Connect, speech: Samples
) -> None:
    engine = connect(interim_timeout_s=LONG_S)
    session = engine.open(INTERIM)
    server.play(Play(pause_s=LONG_S))
    _feed(engine, session, speech[:RATE_HERTZ])
    _wait(lambda: len(server.uploads) == 1)
    session.close()
    engine.close()
    _wait(lambda: server.hang_ups == 1)
