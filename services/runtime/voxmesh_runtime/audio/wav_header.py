"""Wav files whose header was written before their length was known, as a pipe writes it: 0 bytes of sound.

libsndfile takes a declared length of 0 for no sound. Lengths beyond the end of the file it reads to the end by itself.
"""

from __future__ import annotations

import io
import os
import struct
from typing import BinaryIO

_RIFF = struct.Struct("<4sI4s")
_CHUNK = struct.Struct("<4sI")
_MOST_CHUNKS = 1000
_LONGEST = 0xFFFFFFFF


class Patched(io.RawIOBase):
    """A file in which a few bytes read differently; closing it closes the file."""

    def __init__(self, file: BinaryIO, at: int, patch: bytes) -> None:
        self._file = file
        self._at = at
        self._patch = patch

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def seekable(self) -> bool:
        """As the file below."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """As the file below."""
        return self._file.seek(offset, whence)

    def readinto(self, buffer: memoryview, /) -> int:  # pyright: ignore[reportIncompatibleMethodOverride] # any buffer
        """As the file below, with the patch where it lies."""
        begin = self._file.tell()
        data = bytearray(self._file.read(len(buffer)))
        for place, value in enumerate(self._patch, self._at - begin):
            if 0 <= place < len(data):
                data[place] = value
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the file too."""
        self._file.close()
        super().close()


def with_true_length(file: BinaryIO) -> BinaryIO:
    """The file, at its start; a wav that claims to hold 0 bytes of sound and goes on after them claims all the rest."""
    size = file.seek(0, os.SEEK_END)
    place = _empty_data(file, size)
    file.seek(0)
    if place is None:
        return file
    rest = min(size - place - _CHUNK.size, _LONGEST)
    return Patched(file, place + 4, struct.pack("<I", rest))  # pyright: ignore[reportReturnType] # as far as it is used


def _empty_data(file: BinaryIO, size: int) -> int | None:
    """Where a wav's data chunk begins that claims no bytes, and is followed by something that is no chunk."""
    file.seek(0)
    head = file.read(_RIFF.size)
    if len(head) < _RIFF.size or head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return None
    place = _RIFF.size
    for _ in range(_MOST_CHUNKS):
        name, length = _chunk_at(file, place)
        if name == b"data":
            return place if length == 0 and not _is_chunks(file, place + _CHUNK.size, size) else None
        place += _CHUNK.size + length + length % 2
        if not name or place >= size:
            return None
    return None


def _is_chunks(file: BinaryIO, place: int, size: int) -> bool:
    """What follows are whole chunks up to the end, or nothing."""
    for _ in range(_MOST_CHUNKS):
        if place >= size:
            return place <= size + 1
        name, length = _chunk_at(file, place)
        if not (name.isascii() and name.decode("ascii", "replace").isprintable() and name):
            return False
        place += _CHUNK.size + length + length % 2
    return False


def _chunk_at(file: BinaryIO, place: int) -> tuple[bytes, int]:
    file.seek(place)
    head = file.read(_CHUNK.size)
    return _CHUNK.unpack(head) if len(head) == _CHUNK.size else (b"", 0)
