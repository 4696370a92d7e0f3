"""A 16-bit mono wav file that is written at any place, cut, and readable after a crash."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

HEADER_BYTES = 44
MAX_DATA_BYTES = 2**32 - 2**16
"""What the header can tell; a reader finds no more."""


def private_file(path: Path) -> BinaryIO:
    """A new file that only this user can read."""
    return os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "w+b")


class PcmFile:
    """The wav file; what is left out between pieces is silence.

    Args:
        file: new and empty; closed by `close`.
        sample_rate_hertz: of its audio.
    """

    def __init__(self, file: BinaryIO, sample_rate_hertz: int) -> None:
        self._file = file
        self._rate_hertz = sample_rate_hertz
        self.frames = 0
        """Length so far, in samples."""
        self._write_header()

    @property
    def size_bytes(self) -> int:
        """Of the file."""
        return HEADER_BYTES + 2 * self.frames

    def put(self, start: int, pcm: bytes) -> None:
        """Write PCM_S16LE at a sample."""
        self._file.seek(HEADER_BYTES + 2 * start)
        self._file.write(pcm)
        self.frames = max(self.frames, start + len(pcm) // 2)

    def cut(self, frames: int) -> None:
        """Drop what lies behind a sample."""
        if frames < self.frames:
            self.frames = frames
            self._file.truncate(self.size_bytes)

    def flush(self) -> None:
        """Make the file readable as it is."""
        self._write_header()
        self._file.flush()

    def close(self) -> None:
        """Complete the file."""
        self.flush()
        self._file.close()

    def _write_header(self) -> None:
        data_bytes, rate = min(2 * self.frames, MAX_DATA_BYTES), self._rate_hertz
        self._file.seek(0)
        self._file.write(
            struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + data_bytes, b"WAVE", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
        )
        self._file.write(struct.pack("<4sI", b"data", data_bytes))
