"""A stream converted chunk by chunk equals the stream converted whole."""

import numpy as np
import pytest
import soxr

from voxmesh_runtime.audio import AudioFormat, Decoder, Encoder, Encoding, ModelInput, Resampler, Samples
from voxmesh_runtime.errors import InvalidArgument

pytestmark = pytest.mark.unit

RATES = [(8000, 16000), (44100, 16000), (48000, 16000), (16000, 24000), (24000, 8000)]


def noise(count: int) -> Samples:
    return (0.2 * np.random.default_rng(7).standard_normal(count)).astype(np.float32)


def in_chunks(resampler: Resampler, samples: Samples, size: int) -> Samples:
    chunks = [resampler.process(samples[start : start + size]) for start in range(0, len(samples), size)]
    return np.concatenate([*chunks, resampler.flush()])


@pytest.mark.parametrize(("source", "target"), RATES)
@pytest.mark.parametrize("size", [1, 160, 997, 100_000])
def test_chunks_of_any_size_give_the_same_as_one(source: int, target: int, size: int) -> None:
    samples = noise(source // 4)
    whole = soxr.resample(samples, source, target, quality="HQ")
    np.testing.assert_array_equal(in_chunks(Resampler(source, target), samples, size), whole)


@pytest.mark.parametrize(("source", "target"), RATES)
def test_after_a_flush_the_resampler_is_as_new(source: int, target: int) -> None:
    resampler = Resampler(source, target)
    first = in_chunks(resampler, noise(5000), 320)
    again = in_chunks(resampler, noise(5000), 320)
    np.testing.assert_array_equal(first, again)


def test_flushing_what_holds_nothing_gives_nothing() -> None:
    resampler = Resampler(8000, 16000)
    assert resampler.flush().size == 0
    resampler.process(noise(100))
    assert resampler.flush().size == 200
    assert resampler.flush().size == 0


def test_an_empty_chunk_changes_nothing() -> None:
    resampler = Resampler(48000, 16000)
    assert resampler.process(np.empty(0, np.float32)).size == 0
    assert in_chunks(resampler, noise(4800), 480).size == 1600


def test_equal_rates_pass_through_at_once() -> None:
    resampler = Resampler(16000, 16000)
    np.testing.assert_array_equal(resampler.process(noise(10)), noise(10))
    assert resampler.flush().size == 0


@pytest.mark.parametrize(
    ("source", "target", "longest_ms"),
    [
        (24000, 16000, 37),
        (48000, 16000, 37),
        (44100, 16000, 41),
        (24000, 48000, 39),
        (32000, 16000, 58),
        (8000, 16000, 116),
    ],
)
def test_output_never_lags_more_than_documented(source: int, target: int, longest_ms: int) -> None:
    resampler, given = Resampler(source, target), 0
    for taken, sample in enumerate(noise(source // 2), 1):
        given += resampler.process(sample.reshape(1)).size
        assert (taken / source - given / target) * 1000 <= longest_ms


def test_a_model_hears_the_same_from_any_format() -> None:
    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(24000) / 48000)).astype(np.float32)
    audio_format = AudioFormat(Encoding.S16LE, 48000, 2)
    model_input = ModelInput(audio_format, 16000, "audio")
    data = Encoder(audio_format).encode(tone)
    heard = [model_input.feed(data[start : start + 3840]) for start in range(0, len(data), 3840)]
    heard.append(model_input.flush())
    expected = soxr.resample(
        Decoder(AudioFormat(Encoding.S16LE, 48000, 2), max_chunk_bytes=len(data)).decode(data), 48000, 16000
    )
    np.testing.assert_array_equal(np.concatenate(heard), expected)


def test_received_seconds_count_what_was_accepted_and_go_on_after_a_flush() -> None:
    model_input = ModelInput(AudioFormat(Encoding.MULAW, 8000), 16000, "audio")
    model_input.feed(b"\xff" * 800)
    with pytest.raises(InvalidArgument, match=r"^audio: must not be empty"):
        model_input.feed(b"")
    assert model_input.received_s == 0.1
    assert model_input.flush().size == 1600
    model_input.feed(b"\xff" * 400)
    assert model_input.received_s == pytest.approx(0.15)
