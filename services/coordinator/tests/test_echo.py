"""An echo of the reply is told from a person by its sound, whatever room and loudspeaker made of it."""

from __future__ import annotations

import numpy as np
import pytest

from voxmesh_coordinator.reply.sent_audio import SentAudio
from voxmesh_coordinator.session.adapters.echo import ECHO_LIKENESS, HOP_S, OTHER_LIKENESS, likeness, spectrogram
from voxmesh_runtime.audio import AudioFormat, Encoder, Samples

pytestmark = pytest.mark.unit

MICROPHONE_HERTZ, REPLY_HERTZ = 16_000, 24_000
NOISE_S, SPEECH_S = 1.0, 0.8
DELAYS_S = 1.0


def voice(seed: int, seconds: float, rate_hertz: int) -> Samples:
    """Somebody's syllables: harmonics of a gliding pitch under formants that move, with gaps."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * rate_hertz)) / rate_hertz
    points_s = np.arange(0, seconds + 0.2, 0.12)

    def gliding(low: float, high: float) -> Samples:
        return np.interp(time_s, points_s, rng.uniform(low, high, len(points_s))).astype(np.float32)

    phase = 2 * np.pi * np.cumsum(gliding(100, 220)) / rate_hertz
    formants = [gliding(300, 900), gliding(900, 2300)]
    pitch = np.gradient(phase) * rate_hertz / (2 * np.pi)
    sound = np.zeros(len(time_s))
    for number in range(1, 20):
        strength = sum(np.exp(-(((number * pitch - formant) / 150) ** 2)) for formant in formants)
        sound += strength * np.sin(number * phase)
    loudness = np.interp(time_s, points_s, rng.choice([0.02, 0.4, 1.0], len(points_s)))
    return (0.1 * sound * loudness).astype(np.float32)


def in_a_room(samples: Samples) -> Samples:
    """What a small loudspeaker and a room make of a sound: fewer lows, and a tail."""
    thin = np.diff(samples, prepend=np.float32(0))
    tail = np.random.default_rng(7).standard_normal(MICROPHONE_HERTZ // 5)
    tail *= np.exp(-np.linspace(0, 7, len(tail))) * 0.1
    tail[0] = 1
    return np.convolve(thin, tail)[: len(samples)].astype(np.float32)


def at_microphone(speech: Samples, level: float = 1.0) -> Samples:
    """Quiet, then speech, over faint noise."""
    quiet = np.zeros(round(NOISE_S * MICROPHONE_HERTZ), np.float32)
    heard = np.concatenate([quiet, level * speech])
    noise = 0.0005 * np.random.default_rng(1).standard_normal(len(heard))
    return (heard + noise).astype(np.float32)


def alike(heard: Samples, said: Samples) -> float:
    found, loud_s = likeness(
        spectrogram(heard, MICROPHONE_HERTZ), round(NOISE_S / HOP_S), spectrogram(said, REPLY_HERTZ)
    )
    assert loud_s > 0.3
    return found


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("delay_s", [0.1, 0.35, 0.7])
def test_an_echo_is_like_the_reply_at_any_delay(seed: int, delay_s: float) -> None:
    said = voice(seed, SPEECH_S + DELAYS_S, REPLY_HERTZ)
    echo = in_a_room(voice(seed, SPEECH_S + DELAYS_S, MICROPHONE_HERTZ))
    first = round(delay_s * MICROPHONE_HERTZ)
    heard = at_microphone(echo[first : first + round(SPEECH_S * MICROPHONE_HERTZ)], 0.3)
    assert alike(heard, said) > ECHO_LIKENESS


@pytest.mark.parametrize("seed", range(4))
def test_another_voice_is_not(seed: int) -> None:
    said = voice(seed, SPEECH_S + DELAYS_S, REPLY_HERTZ)
    assert alike(at_microphone(voice(seed + 50, SPEECH_S, MICROPHONE_HERTZ)), said) < ECHO_LIKENESS


@pytest.mark.parametrize("seed", range(4))
def test_another_voice_over_a_fainter_echo_is_not(seed: int) -> None:
    said = voice(seed, SPEECH_S + DELAYS_S, REPLY_HERTZ)
    echo = in_a_room(voice(seed, SPEECH_S, MICROPHONE_HERTZ))
    assert alike(at_microphone(0.1 * echo + voice(seed + 50, SPEECH_S, MICROPHONE_HERTZ)), said) < ECHO_LIKENESS


def test_nothing_is_an_echo_of_silence() -> None:
    said = np.zeros(round((SPEECH_S + DELAYS_S) * REPLY_HERTZ), np.float32)
    assert alike(at_microphone(voice(3, SPEECH_S, MICROPHONE_HERTZ)), said) < OTHER_LIKENESS


def test_quiet_has_no_loud_frames() -> None:
    heard = spectrogram(at_microphone(np.zeros(MICROPHONE_HERTZ, np.float32)), MICROPHONE_HERTZ)
    said = spectrogram(voice(1, SPEECH_S + DELAYS_S, REPLY_HERTZ), REPLY_HERTZ)
    _, loud_s = likeness(heard, round(NOISE_S / HOP_S), said)
    assert loud_s < 0.3


@pytest.mark.parametrize("length", [0, 1, 639])
def test_audio_shorter_than_a_frame_has_none(length: int) -> None:
    heard = spectrogram(np.zeros(length, np.float32), MICROPHONE_HERTZ)
    assert len(heard) == 0
    assert likeness(heard, 0, spectrogram(voice(1, 1, REPLY_HERTZ), REPLY_HERTZ)) == (0.0, 0.0)


def test_sent_audio_is_found_by_its_place() -> None:
    audio_format = AudioFormat(sample_rate_hertz=1000 * 8)
    sent, encoder = SentAudio(audio_format), Encoder(audio_format)
    for offset_s, value in ((0.0, 0.25), (0.5, 0.5)):
        sent.add(3, offset_s, encoder.encode(np.full(4000, value, np.float32)))
    samples = sent.between(-0.25, 1.25)
    assert samples is not None
    assert samples.tolist() == [0.0] * 2000 + [0.25] * 4000 + [0.5] * 4000 + [0.0] * 2000


def test_another_replys_audio_is_forgotten_and_what_was_not_sent_here_is_unknown() -> None:
    audio_format = AudioFormat()
    sent, second = SentAudio(audio_format), Encoder(audio_format).encode(np.ones(16000, np.float32))
    assert sent.between(0.0, 1.0) is None
    sent.add(0, 0.0, second)
    sent.add(1, 5.0, second)
    assert sent.between(4.0, 6.0) is None
    assert sent.between(5.0, 6.0) is not None
