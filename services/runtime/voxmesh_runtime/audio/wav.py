"""Audio files: any format that libsndfile knows (wav, flac, ogg, mp3) in, wav out."""

import io
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import soundfile

from voxmesh_runtime.audio.decode import to_s16
from voxmesh_runtime.audio.format import Samples


class AudioFileError(ValueError):
    """A file cannot be read as audio; the message says what to do."""


class AudioFile:
    """An open audio file, read in blocks so that hours of audio need no memory.

    Raises:
        AudioFileError: no such file, or no audio that libsndfile can decode.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise AudioFileError(f"{path}: no such file; check the path")
        try:
            self._file = soundfile.SoundFile(path)
        except soundfile.LibsndfileError as error:
            raise _unreadable(path, error) from error
        self._path = path
        self.sample_rate_hertz: int = self._file.samplerate
        """The file's own rate."""

    @property
    def duration_s(self) -> float:
        """Length in seconds as the file's header declares it."""
        return self._file.frames / self.sample_rate_hertz

    def blocks(self, block_s: float = 1.0) -> Iterator[Samples]:
        """Mono samples in [-1, 1] from where the file stands, `block_s` at a time, the last shorter.

        Raises:
            AudioFileError: the file is damaged further in.
        """
        size = max(1, round(block_s * self.sample_rate_hertz))
        while (block := self._read(size)).size:
            yield block

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self, frames: int) -> Samples:
        try:
            block = self._file.read(frames, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise _unreadable(self._path, error) from error
        return np.clip(block.mean(axis=1, dtype=np.float32), -1.0, 1.0)


def read_audio_file(path: Path) -> tuple[Samples, int]:
    """All of a file: mono samples in [-1, 1] and their rate in hertz.

    Raises:
        AudioFileError: no such file, or no audio that libsndfile can decode.
    """
    with AudioFile(path) as file:
        blocks = list(file.blocks(block_s=60.0))
        return np.concatenate([np.empty(0, np.float32), *blocks]), file.sample_rate_hertz


def wav_bytes(samples: Samples, sample_rate_hertz: int) -> bytes:
    """A 16-bit mono wav file of samples in [-1, 1]; louder ones are clipped."""
    buffer = io.BytesIO()
    soundfile.write(buffer, to_s16(samples), sample_rate_hertz, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def write_wav(path: Path, samples: Samples, sample_rate_hertz: int) -> None:
    """Write `wav_bytes` to a file."""
    path.write_bytes(wav_bytes(samples, sample_rate_hertz))


def _unreadable(path: Path, error: soundfile.LibsndfileError) -> AudioFileError:
    return AudioFileError(
        f"{path}: cannot be read as audio ({error.error_string.rstrip('.')}); "
        f"convert it to wav, flac, ogg or mp3, for example: ffmpeg -i {path.name} {path.stem}.wav"
    )
