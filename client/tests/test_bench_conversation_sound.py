"""The simulated microphone and loudspeaker of `voxmesh bench conversation`."""

from __future__ import annotations

import numpy as np
import pytest

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_client.bench.conversations.microphone import FRAME, FRAME_S, Microphone, lay_out
from voxmesh_client.bench.conversations.player import ECHO_DELAY_FRAMES, Player
from voxmesh_client.bench.conversations.sounds import MICROPHONE_HERTZ, Sound, voiced
from voxmesh_client.sound import samples_of
from voxmesh_runtime.audio import Samples

pytestmark = pytest.mark.unit

REPLY_HERTZ = 24000
PERIOD = round(REPLY_HERTZ * FRAME_S)


def tone(seconds: float, hertz: int = MICROPHONE_HERTZ) -> Samples:
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * hertz)) / hertz)).astype(np.float32)


def sound(name: str) -> Sound:
    """Half a second of a tone, a tenth of a second of silence on either side."""
    quiet = np.zeros(1600, np.float32)
    return Sound(name, name, np.concatenate([quiet, tone(0.5), quiet]), 1600, 9600)


def reply(index: int, samples: Samples, *, is_last: bool = False) -> conversation_pb2.ReplyAudio:
    data = (samples * 32767).astype("<i2").tobytes()
    return conversation_pb2.ReplyAudio(turn_index=index, data=data, is_last=is_last)


def test_a_pause_in_a_line_is_exact_from_voice_to_voice() -> None:
    spoken = lay_out(["one", 0.8, "two"], sound)
    assert spoken.length == round((0.5 + 0.8 + 0.5) * MICROPHONE_HERTZ)
    assert [at for at, _ in spoken.parts] == [-1600, round(1.3 * MICROPHONE_HERTZ) - 1600]
    assert spoken.text == "one two"


def test_the_voice_is_heard_at_the_onset_and_ends_at_the_end_that_was_told() -> None:
    microphone = Microphone()
    onset_s, end_s = microphone.place(lay_out(["one"], sound), 0.505)
    heard = samples_of(b"".join(microphone.frame() for _ in range(80)))
    assert (onset_s, end_s) == (pytest.approx(0.505), pytest.approx(1.005))
    assert voiced(heard, MICROPHONE_HERTZ) == (pytest.approx(onset_s, abs=0.02), pytest.approx(end_s, abs=0.02))
    assert microphone.now_s == pytest.approx(1.6)


def test_what_is_due_already_is_said_at_once() -> None:
    microphone = Microphone()
    for _ in range(50):
        microphone.frame()
    onset_s, _ = microphone.place(lay_out(["one"], sound), 0.2)
    assert onset_s == pytest.approx(1.1)


def test_a_quieter_line_is_quieter_by_its_decibels() -> None:
    (_, loud), (_, quiet) = lay_out(["one"], sound).parts[0], lay_out(["one"], sound, gain_db=-20).parts[0]
    assert float(np.abs(quiet).max()) == pytest.approx(float(np.abs(loud).max()) / 10)


def test_a_reply_is_played_in_real_time_and_a_gap_does_not_count() -> None:
    player = Player()
    player.take(reply(0, tone(0.04, REPLY_HERTZ)), 0.0)
    for number in range(5):
        player.tick(number * FRAME_S)
    assert player.position == (0, pytest.approx(0.04))
    assert player.is_playing
    player.take(reply(0, tone(0.02, REPLY_HERTZ), is_last=True), 0.1)
    player.tick(0.1)
    assert player.position == (0, pytest.approx(0.06))
    assert not player.is_playing
    assert player.played_out_s == {0: 0.1}
    assert player.began_s == {0: 0.0}


def test_an_interrupted_reply_is_dropped_and_stale_audio_of_it_is_not_played() -> None:
    player = Player()
    player.take(reply(0, tone(1.0, REPLY_HERTZ)), 0.0)
    player.tick(0.0)
    player.take(conversation_pb2.Interrupted(turn_index=0), 0.01)
    player.take(reply(0, tone(1.0, REPLY_HERTZ)), 0.02)
    player.tick(0.02)
    assert player.position == (0, pytest.approx(FRAME_S))
    assert not player.is_playing


def test_the_next_reply_is_played_from_its_start() -> None:
    player = Player()
    player.take(reply(0, tone(1.0, REPLY_HERTZ)), 0.0)
    player.tick(0.0)
    player.take(reply(1, tone(1.0, REPLY_HERTZ)), 0.02)
    player.tick(0.02)
    assert player.position == (1, pytest.approx(FRAME_S))
    assert player.played_out_s == {0: 0.02}


def echo_of(gain_db: float, duck: float) -> Samples:
    """What the microphone hears of half a second of a reply, a quarter of a second in all."""
    player = Player()
    player.take(reply(0, tone(0.5, REPLY_HERTZ)), 0.0)
    player.take(conversation_pb2.Duck(gain=duck), 0.0)
    player.start_echo(0.25, gain_db)
    frames: list[Samples] = []
    for number in range(30):
        player.tick(number * FRAME_S)
        frame = player.echo()
        frames.append(np.zeros(FRAME, np.float32) if frame is None else frame)
    return np.concatenate(frames)


def test_an_echo_comes_back_later_lower_and_for_as_long_as_it_was_asked_for() -> None:
    echo = echo_of(gain_db=-20, duck=1.0)
    begin_s, _ = voiced(echo, MICROPHONE_HERTZ)
    assert ECHO_DELAY_FRAMES * FRAME_S <= begin_s <= ECHO_DELAY_FRAMES * FRAME_S + 0.06
    assert float(np.abs(echo).max()) == pytest.approx(0.05, rel=0.1)
    assert not echo[round(0.26 * MICROPHONE_HERTZ) :].any()


def test_a_ducked_reply_has_a_lower_echo() -> None:
    full, ducked = (float(np.abs(echo_of(0, duck)).max()) for duck in (1.0, 0.25))
    assert ducked == pytest.approx(full / 4, rel=0.05)
