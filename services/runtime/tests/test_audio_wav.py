"""Audio files are read whole or in blocks and written as wav."""

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


def test_a_file_that_is_no_audio_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "talk.m4a"
    path.write_bytes(b"this is no audio" * 100)
    with pytest.raises(AudioFileError, match=r"convert it to wav.*ffmpeg -i talk\.m4a talk\.wav"):
        read_audio_file(path)
