"""C12: several channels become one in which nothing that was said is silent, however the stream is cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmesh_runtime.audio import AudioFormat, Decoder, Encoding, Samples
from voxmesh_runtime.audio.mono import MonoMix, chosen_channel

pytestmark = pytest.mark.unit

HERTZ = 16000
STEREO = AudioFormat(Encoding.F32LE, HERTZ, 2)


def noise(seconds: float, loud: float, seed: int = 0) -> Samples:
    samples = np.random.default_rng(seed).uniform(-1, 1, round(seconds * HERTZ))
    return (loud * samples).astype(np.float32)


def words(seed: int = 0) -> Samples:
    """Three bursts of sound with pauses of near silence."""
    return np.concatenate([noise(0.3, loud, seed + place) for place, loud in enumerate([0.001, 0.4] * 3)])


def power(samples: Samples) -> float:
    return float(np.square(samples, dtype=np.float64).mean())


def mixed(*channels: Samples, cuts: int = 1) -> Samples:
    mix = MonoMix(len(channels), HERTZ)
    return np.concatenate([mix.mix(piece) for piece in np.array_split(np.column_stack(channels), cuts)])


@pytest.mark.parametrize(
    ("channels", "now", "taken"),
    [
        pytest.param((1.0, 1.0), None, None, id="C12-nothing-cancels"),
        pytest.param((1.0, 0.0), None, None, id="C12-one-silent-channel"),
        pytest.param((0.0, 0.0), None, None, id="C12-silence"),
    ],
)
def test_unrelated_channels_keep_their_mean(channels: tuple[float, float], now: int | None, taken: int | None) -> None:
    energies = np.array(channels)
    assert chosen_channel(float(energies.sum()) / 4, energies, now) is taken


@pytest.mark.parametrize(
    ("mean", "channels", "now", "taken"),
    [
        pytest.param(0.0, (1.0, 1.1), None, 1, id="C12-the-louder-one"),
        pytest.param(0.0, (1.0, 1.1), 0, 0, id="C12-sticky-though-a-little-quieter"),
        pytest.param(0.0, (0.1, 1.0), 0, 1, id="C12-not-a-channel-gone-quiet"),
        pytest.param(0.2, (1.0, 1.0), 0, 0, id="C12-sticky-near-the-bound"),
        pytest.param(0.2, (1.0, 1.0), None, None, id="C12-mean-near-the-bound"),
        pytest.param(0.5, (1.0, 1.0), 1, None, id="C12-mean-again"),
        pytest.param(0.0, (1.0, 1.0, 2.0, 2.0), None, 2, id="C12-two-pairs"),
    ],
)
def test_the_louder_channel_is_taken_where_they_cancel(
    mean: float, channels: tuple[float, ...], now: int | None, taken: int | None
) -> None:
    assert chosen_channel(mean, np.array(channels), now) == taken


def test_c12_opposite_phase_is_heard_from_its_first_word_on() -> None:
    sound = words()
    mono = mixed(sound, -sound)
    assert power(mono) > 0.9 * power(sound)
    assert power(mono[-HERTZ // 2 :]) == pytest.approx(power(sound[-HERTZ // 2 :]))


def test_c12_the_choice_does_not_flap_between_words_and_pauses() -> None:
    sound, other = words(), noise(1.8, 0.001, seed=9)
    mono = mixed(sound, (other - 0.9 * sound).astype(np.float32))
    settled = round(0.35 * HERTZ)
    np.testing.assert_array_equal(mono[settled:], sound[settled:])


def test_c12_two_parties_on_two_channels_are_both_heard() -> None:
    one, other = noise(1, 0.3, seed=1), noise(1, 0.3, seed=2)
    quiet = np.zeros_like(one)
    mono = mixed(np.concatenate([one, quiet]), np.concatenate([quiet, other]))
    np.testing.assert_allclose(mono, np.concatenate([one, other]) / 2, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    gains=st.lists(st.floats(-1, 1).filter(lambda gain: abs(gain) > 0.01), min_size=2, max_size=8),
    hiss=st.sampled_from([0.0, 0.001, 0.02]),
    seed=st.integers(0, 99),
)
def test_c12_the_mix_is_never_far_below_the_loudest_channel(gains: list[float], hiss: float, seed: int) -> None:
    sound = words(seed)
    channels = [np.float32(gain) * sound + noise(1.8, hiss, seed + place) for place, gain in enumerate(gains)]
    bound = 1 / (4 * len(gains) ** 2)
    assert power(mixed(*channels)) >= 0.8 * bound * max(map(power, channels))


@settings(max_examples=40, deadline=None)
@given(gain=st.floats(-1, 1), cuts=st.integers(1, 200), seed=st.integers(0, 99))
def test_c12_the_mix_is_the_same_however_the_stream_is_cut(gain: float, cuts: int, seed: int) -> None:
    sound = words(seed)
    other = np.float32(gain) * sound + noise(1.8, 0.05, seed)
    np.testing.assert_array_equal(mixed(sound, other, cuts=cuts), mixed(sound, other))


def test_c12_a_stream_of_audio_messages_is_mixed_so() -> None:
    sound = words()
    frames = np.column_stack([sound, -sound])
    decoder = Decoder(STEREO)
    decoder.check(np.ones(2000, np.float32).tobytes())  # takes nothing
    chunks = [decoder.decode(frames[begin : begin + 320].tobytes()) for begin in range(0, len(frames), 320)]
    np.testing.assert_array_equal(np.concatenate(chunks), mixed(sound, -sound))


def test_a_single_channel_is_left_as_it_is() -> None:
    sound = words()
    np.testing.assert_array_equal(MonoMix(1, HERTZ).mix(sound.reshape(-1, 1)), sound)
