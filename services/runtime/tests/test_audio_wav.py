"""Audio files are read whole or in blocks and written as wav."""

import os
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from voxmesh_runtime.audio import AudioFile, AudioFileError, Samples, read_audio_file, wav_bytes, write_wav

pytestmark = pytest.mark.unit


def tone(seconds: float, rate: int) -> Samples:
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def test_a_wav_is_read_as_it_was_written(tmp_path: Path) -> None:
    samples = np.array([0.0, 0.5, -1.0, 32767 / 32768], np.float32)
    write_wav(tmp_path / "a.wav", samples, 22050)
    again, rate = read_audio_file(tmp_path / "a.wav")
    assert rate == 22050
    np.testing.assert_array_equal(again, samples)


def test_loud_samples_are_clipped_and_do_not_wrap_around(tmp_path: Path) -> None:
    write_wav(tmp_path / "loud.wav", np.array([2.0, -2.0], np.float32), 16000)
    samples, _ = read_audio_file(tmp_path / "loud.wav")
    assert samples.tolist() == [32767 / 32768, -1.0]


def test_wav_bytes_are_a_16_bit_mono_file() -> None:
    data = wav_bytes(tone(0.1, 16000), 16000)
    assert data[:4] == b"RIFF"
    assert len(data) == 44 + 2 * 1600


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_common_formats_are_mixed_to_mono(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    mono = tone(1.0, 16000)
    soundfile.write(path, np.column_stack([mono, np.zeros_like(mono)]), 16000)
    samples, rate = read_audio_file(path)
    assert (samples.dtype, samples.ndim, rate) == (np.float32, 1, 16000)
    assert abs(len(samples) - 16000) <= 2304
    assert np.abs(samples).max() == pytest.approx(0.25, abs=0.03)


def test_blocks_together_are_the_file(tmp_path: Path) -> None:
    samples = tone(1.25, 8000)
    write_wav(tmp_path / "a.wav", samples, 8000)
    with AudioFile(tmp_path / "a.wav") as file:
        assert file.duration_s == 1.25
        blocks = list(file.blocks(block_s=0.5))
    assert [len(block) for block in blocks] == [4000, 4000, 2000]
    np.testing.assert_array_equal(np.concatenate(blocks), read_audio_file(tmp_path / "a.wav")[0])


def test_a_file_without_samples_is_empty(tmp_path: Path) -> None:
    write_wav(tmp_path / "empty.wav", np.empty(0, np.float32), 16000)
    samples, rate = read_audio_file(tmp_path / "empty.wav")
    assert (samples.size, rate) == (0, 16000)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AudioFileError, match=r"nowhere\.wav: no such file; check the path"):
        read_audio_file(tmp_path / "nowhere.wav")


def with_lengths(path: Path, riff: int, data: int, tail: bytes = b"") -> Path:
    """The file with other lengths in its header, as a pipe leaves them."""
    file = bytearray(path.read_bytes())
    place = file.index(b"data")
    file[4:8], file[place + 4 : place + 8] = struct.pack("<I", riff), struct.pack("<I", data)
    path.write_bytes(file + tail)
    return path


@pytest.mark.parametrize(
    ("riff", "data"),
    [
        pytest.param(0, 0, id="C11-zero"),
        pytest.param(36, 0, id="C11-no-data"),
        pytest.param(0xFFFFFFFF, 0xFFFFFFFF, id="C11-endless"),
        pytest.param(0xFFFFFFFF, 0, id="C11-endless-without-data"),
        pytest.param(0x7FFFFFFF, 0x7FFFFFFF - 36, id="C11-sox"),
    ],
)
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "ULAW", "IMA_ADPCM"])
def test_c11_a_wav_that_does_not_know_its_length_is_read_to_the_end(
    tmp_path: Path, subtype: str, riff: int, data: int
) -> None:
    path = tmp_path / "piped.wav"
    soundfile.write(path, tone(1.0, 16000), 16000, subtype=subtype)
    expected, _ = read_audio_file(path)
    samples, _ = read_audio_file(with_lengths(path, riff, data))
    np.testing.assert_array_equal(samples[:16000], expected[:16000])


def test_c11_a_flac_that_does_not_know_its_length_is_read_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "piped.flac"
    soundfile.write(path, tone(1.0, 16000), 16000)
    file = bytearray(path.read_bytes())
    file[21] &= 0xF0
    file[22:26] = bytes(4)
    path.write_bytes(file)
    with AudioFile(path) as audio:
        assert audio.duration_s == 0
    assert read_audio_file(path)[0].size == 16000


def test_c11_a_wav_without_sound_before_other_chunks_stays_empty(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", np.empty(0, np.float32), 16000)
    path = with_lengths(tmp_path / "a.wav", 48, 0, b"LIST" + struct.pack("<I", 4) + b"INFO")
    assert read_audio_file(path)[0].size == 0


def test_c11_a_wav_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", tone(1.0, 16000), 16000)
    (tmp_path / "a.wav").write_bytes((tmp_path / "a.wav").read_bytes()[: 44 + 2 * 5000 + 1])
    assert read_audio_file(tmp_path / "a.wav")[0].size == 5000


def test_c11_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", tone(1.0, 16000), 16000)
    data = with_lengths(tmp_path / "a.wav", 0, 0).read_bytes()
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(data,))
    writer.start()
    samples, _ = read_audio_file(tmp_path / "pipe")
    writer.join()
    assert samples.size == 16000


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 96000, 192000])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW"])
def test_c11_every_rate_and_kind_of_sample_is_read(tmp_path: Path, rate: int, subtype: str) -> None:
    soundfile.write(tmp_path / "a.wav", tone(0.1, rate), rate, subtype=subtype)
    samples, hertz = read_audio_file(tmp_path / "a.wav")
    assert hertz == rate
    np.testing.assert_allclose(samples, tone(0.1, rate), atol=0.02)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
@pytest.mark.parametrize("channels", [2, 8])
def test_c12_opposite_phase_in_a_file_is_heard(tmp_path: Path, suffix: str, channels: int) -> None:
    mono = tone(1.0, 16000)
    frames = np.column_stack([mono, -mono] * (channels // 2))
    soundfile.write(tmp_path / f"a.{suffix}", frames, 16000)
    samples, _ = read_audio_file(tmp_path / f"a.{suffix}")
    assert np.square(samples).mean() == pytest.approx(np.square(mono).mean(), rel=0.1)


@pytest.mark.parametrize(
    ("value", "what"),
    [
        pytest.param(np.nan, "NaN", id="C11-nan"),
        pytest.param(np.inf, "infinity", id="C11-inf"),
        pytest.param(-np.inf, "infinity", id="C11-minus-inf"),
    ],
)
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_c11_values_that_are_no_sound_are_told_with_their_place(
    tmp_path: Path, subtype: str, value: float, what: str
) -> None:
    samples = tone(2.0, 16000)
    samples[20000:] = value
    soundfile.write(tmp_path / "a.wav", np.column_stack([samples, tone(2.0, 16000)]), 16000, subtype=subtype)
    with pytest.raises(AudioFileError, match=rf"a\.wav: holds {what} .*first at 1\.250 s; export it again"):
        read_audio_file(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        pytest.param(
            "talk.m4a", b"this is no audio" * 100, r"convert it to wav.*ffmpeg -i \S+m4a \S+talk\.wav$", id="m4a"
        ),
        pytest.param("notes.wav", b"these are notes", r"ffmpeg -i \S+notes\.wav \S+notes-new\.wav$", id="C11-text"),
        pytest.param("my talk.WAV", b"RIFF", r"'\S+my talk\.WAV' '\S+my talk-new\.wav'$", id="C11-spaces"),
        pytest.param("nothing.wav", b"", "nothing.wav: is empty; name a file with sound", id="C11-empty"),
        pytest.param("a.flac", b"fLaC" + bytes(200), "cannot be read as audio", id="C11-broken-flac"),
    ],
)
def test_c11_a_file_that_is_no_audio_says_what_to_do(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AudioFileError, match=problem) as refused:
        read_audio_file(tmp_path / name)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("suffix", ["flac", "ogg"])
def test_c11_a_compressed_file_cut_in_half_is_refused_in_one_line(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tone(1.0, 16000), 16000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AudioFileError, match=rf"a\.{suffix}: cannot be read as audio .*convert it"):
        read_audio_file(path)


def test_c11_a_folder_and_a_device_are_told(tmp_path: Path) -> None:
    with pytest.raises(AudioFileError, match="is a folder; name a file"):
        read_audio_file(tmp_path)
    with pytest.raises(AudioFileError, match="/dev/null: is no file"):
        read_audio_file(Path("/dev/null"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_c11_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", tone(0.1, 16000), 16000)
    (tmp_path / "a.wav").chmod(0)
    with pytest.raises(AudioFileError, match=r"a\.wav: may not be opened; check its permissions"):
        read_audio_file(tmp_path / "a.wav")
