"""Audio files: any format that libsndfile knows (wav, flac, ogg, mp3) in, wav out."""

import io
import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
import soundfile

from voxmesh_runtime.audio.decode import to_s16
from voxmesh_runtime.audio.format import Samples
from voxmesh_runtime.audio.mono import MonoMix
from voxmesh_runtime.audio.wav_header import with_true_length
from voxmesh_runtime.files import problem_with

MOST_PIPED_BYTES = 512 * 1024 * 1024
"""Of a file that comes through a pipe and is kept in memory."""
_UNKNOWN_FRAMES = 2**62
"""libsndfile's number for a stream whose header tells no length is above this."""


class AudioFileError(ValueError):
    """A file cannot be read as audio; the message says what to do."""


class _InOrder(soundfile.SoundFile):
    """A file that is read from its start on: to seek after each block fails where the header tells no length."""

    def seekable(self) -> bool:
        return False


class AudioFile:
    """An open audio file, read in blocks so that hours of audio need no memory.

    Raises:
        AudioFileError: no such file, or no audio that libsndfile can decode.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._bytes = _opened(path)
        try:
            self._file = _InOrder(with_true_length(self._bytes))
        except soundfile.LibsndfileError as error:
            self._bytes.close()
            raise _unreadable(path, error) from error
        self._mono = MonoMix(self._file.channels, self._file.samplerate)
        self._frames = 0
        self.sample_rate_hertz: int = self._file.samplerate
        """The file's own rate."""

    @property
    def duration_s(self) -> float:
        """Length in seconds as the file's header declares it; 0 where it declares none."""
        frames: int = self._file.frames
        return frames / self.sample_rate_hertz if frames < _UNKNOWN_FRAMES else 0.0

    def blocks(self, block_s: float = 1.0) -> Iterator[Samples]:
        """Mono samples in [-1, 1] from where the file stands, `block_s` at a time, the last shorter.

        Raises:
            AudioFileError: the file is damaged further in, or holds values that are no sound.
        """
        size = max(1, round(block_s * self.sample_rate_hertz))
        while (block := self._read(size)).size:
            yield block

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._bytes.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self, frames: int) -> Samples:
        try:
            block = np.asarray(self._file.read(frames, dtype="float32", always_2d=True), np.float32)
        except soundfile.LibsndfileError as error:
            raise _unreadable(self._path, error) from error
        self._require_finite(block)
        self._frames += len(block)
        return np.clip(self._mono.mix(block), -1.0, 1.0)

    def _require_finite(self, block: Samples) -> None:
        bad = np.flatnonzero(~np.isfinite(block).all(axis=1))
        if bad.size:
            frame = block[bad[0]]
            value = frame[~np.isfinite(frame)][0]
            at_s = (self._frames + int(bad[0])) / self.sample_rate_hertz
            what = "NaN (not a number)" if np.isnan(value) else "infinity"
            raise AudioFileError(
                f"{self._path}: holds {what} instead of sound, first at {at_s:.3f} s; export it again, as 16-bit wav"
            )


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


def _opened(path: Path) -> BinaryIO:
    """The file's bytes, from the start; a pipe is read to its end, since its header must be looked at twice."""
    try:
        file = path.open("rb")
        status = os.fstat(file.fileno())
        if stat.S_ISFIFO(status.st_mode):
            with file:
                return io.BytesIO(_whole(path, file))
    except OSError as error:
        raise AudioFileError(problem_with(error, path)) from None
    if not stat.S_ISREG(status.st_mode) or not status.st_size:
        file.close()
        problem = "is no file" if status.st_size or not stat.S_ISREG(status.st_mode) else "is empty"
        raise AudioFileError(f"{path}: {problem}; name a file with sound")
    return file


def _whole(path: Path, pipe: BinaryIO) -> bytes:
    data = pipe.read(MOST_PIPED_BYTES + 1)
    if len(data) > MOST_PIPED_BYTES:
        raise AudioFileError(f"{path}: more than {MOST_PIPED_BYTES >> 20} MiB came; save it to a file first")
    return data


def _unreadable(path: Path, error: soundfile.LibsndfileError) -> AudioFileError:
    # ffmpeg refuses to write the file that it reads.
    target = path.with_suffix(".wav") if path.suffix.lower() != ".wav" else path.with_name(f"{path.stem}-new.wav")
    command = shlex.join(["ffmpeg", "-i", str(path), str(target)])
    return AudioFileError(
        f"{path}: cannot be read as audio ({error.error_string.strip().rstrip('.')}); "
        f"if it holds sound, convert it to wav, flac, ogg or mp3: {command}"
    )
