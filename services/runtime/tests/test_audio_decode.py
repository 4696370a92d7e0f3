"""Audio messages become samples and samples become audio messages."""

import io

import numpy as np
import pytest
import soundfile

from voxmesh_runtime.audio import AudioFormat, Decoder, Encoder, Encoding
from voxmesh_runtime.errors import InvalidArgument

pytestmark = pytest.mark.unit

STEREO = AudioFormat(Encoding.S16LE, 16000, 2)
ALL_CODES = bytes(range(256))


def test_every_16_bit_sample_decodes_and_encodes_back_to_itself() -> None:
    data = np.arange(-32768, 32768).astype("<i2").tobytes()
    samples = Decoder(AudioFormat(), max_chunk_bytes=len(data)).decode(data)
    assert samples.dtype == np.float32
    assert samples[0] == -1.0
    assert samples[32768] == 0.0
    assert Encoder(AudioFormat()).encode(samples) == data


@pytest.mark.parametrize(("encoding", "subtype"), [(Encoding.MULAW, "ULAW"), (Encoding.ALAW, "ALAW")])
def test_every_g711_code_decodes_as_libsndfile_decodes_it(encoding: Encoding, subtype: str) -> None:
    samples = Decoder(AudioFormat(encoding, 8000)).decode(ALL_CODES)
    reference, _ = soundfile.read(
        io.BytesIO(ALL_CODES), format="RAW", subtype=subtype, channels=1, samplerate=8000, dtype="float32"
    )
    np.testing.assert_array_equal(samples, reference)


def test_mulaw_extremes_and_silence_are_those_of_the_standard() -> None:
    samples = Decoder(AudioFormat(Encoding.MULAW, 8000)).decode(b"\x00\x80\xff\x7f") * 32768
    np.testing.assert_array_equal(samples, [-32124, 32124, 0, 0])


def test_alaw_extremes_and_smallest_steps_are_those_of_the_standard() -> None:
    samples = Decoder(AudioFormat(Encoding.ALAW, 8000)).decode(b"\x2a\xaa\xd5\x55") * 32768
    np.testing.assert_array_equal(samples, [-32256, 32256, 8, -8])


@pytest.mark.parametrize("encoding", [Encoding.MULAW, Encoding.ALAW])
def test_g711_codes_survive_decoding_and_encoding(encoding: Encoding) -> None:
    audio_format = AudioFormat(encoding, 8000)
    again = Encoder(audio_format).encode(Decoder(audio_format).decode(ALL_CODES))
    # Mu-law has two codes for zero; the negative one comes back as the positive.
    expected = ALL_CODES.replace(b"\x7f", b"\xff") if encoding is Encoding.MULAW else ALL_CODES
    assert again == expected


@pytest.mark.parametrize("encoding", list(Encoding))
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_speech_like_samples_survive_every_format(encoding: Encoding, channels: int) -> None:
    samples = (0.5 * np.sin(np.linspace(0, 60, 1000))).astype(np.float32)
    audio_format = AudioFormat(encoding, 16000, channels)
    data = Encoder(audio_format).encode(samples)
    assert len(data) == 1000 * audio_format.bytes_per_frame
    # G.711 steps reach 1/32 of full scale near 1; half a step at 0.5 is 1/128.
    np.testing.assert_allclose(Decoder(audio_format).decode(data), samples, atol=1 / 64)


def test_channels_are_averaged() -> None:
    data = np.array([[16384, -16384], [32767, 1]], "<i2").tobytes()
    np.testing.assert_array_equal(Decoder(STEREO).decode(data), np.array([0.0, 0.5], np.float32))


def test_loud_floats_are_clipped_both_ways() -> None:
    loud = np.array([3.0, -3.0, 0.25], np.float32)
    audio_format = AudioFormat(Encoding.F32LE)
    assert Decoder(audio_format).decode(loud.tobytes()).tolist() == [1.0, -1.0, 0.25]
    assert np.frombuffer(Encoder(audio_format).encode(loud), "<f4").tolist() == [1.0, -1.0, 0.25]
    assert np.frombuffer(Encoder(AudioFormat()).encode(loud), "<i2").tolist() == [32767, -32768, 8192]


@pytest.mark.parametrize(
    ("audio_format", "data", "problem"),
    [
        (AudioFormat(), b"", "must not be empty"),
        (AudioFormat(), b"\0" * 65538, "at most 65536 bytes a message, not 65538"),
        (AudioFormat(), b"\0\0\0", "whole frames of 2 bytes, not 3 bytes"),
        (STEREO, b"\0\0", "whole frames of 4 bytes, not 2 bytes"),
        (AudioFormat(Encoding.F32LE), b"\0" * 6, "whole frames of 4 bytes, not 6 bytes"),
        (AudioFormat(Encoding.F32LE), np.array([0, np.nan], np.float32).tobytes(), "not NaN or infinity"),
        (AudioFormat(Encoding.F32LE), np.array([-np.inf], np.float32).tobytes(), "not NaN or infinity"),
    ],
)
def test_what_is_no_audio_is_refused(audio_format: AudioFormat, data: bytes, problem: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        Decoder(audio_format, "audio.content").decode(data)
    assert refused.value.field == "audio.content"
    assert problem in refused.value.problem


def test_the_longest_message_is_accepted() -> None:
    assert len(Decoder(AudioFormat()).decode(b"\0" * 65536)) == 32768


def test_a_model_that_gives_nan_is_found_out() -> None:
    with pytest.raises(ValueError, match="NaN or infinite"):
        Encoder(AudioFormat()).encode(np.array([np.nan], np.float32))
