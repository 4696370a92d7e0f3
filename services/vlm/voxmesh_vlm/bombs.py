"""Small files that take a decoder minutes, known by their structure before a decoder sees them.

A JPEG file may come in any number of passes over the whole picture, 60 bytes each, and both JPEG and PNG in millions
of parts. How many pixels there are is another matter, see `pictures`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

MAX_SCANS = 100
"""Passes of a JPEG file; encoders make about 10."""
MAX_PARTS = 50_000
"""Chunks of a PNG or segments of a JPEG file; 16 MiB in the smallest pieces that encoders make are fewer."""

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_MARKER = re.compile(rb"\xff+([^\x00\x01\xff\xd0-\xd8])")
"""The start of a segment; bytes of the picture itself are never FF, but for those followed by 00 or a restart."""
_SCAN, _END = 0xDA, 0xD9


def bomb(file: bytes) -> str | None:
    """What is wrong with a file that would take too long, as the end of "the picture ..."; None if it would not."""
    if file.startswith(_PNG):
        return _too_many("chunks", sum(1 for _ in _chunks(file)), MAX_PARTS)
    if not file.startswith(_JPEG):
        return None
    markers = list(_segments(file))
    return _too_many("scans", markers.count(_SCAN), MAX_SCANS) or _too_many("segments", len(markers), MAX_PARTS)


def _too_many(parts: str, count: int, limit: int) -> str | None:
    return f"has more than {limit} {parts}; save it anew" if count > limit else None


def _chunks(file: bytes) -> Iterator[int]:
    """Where each chunk of a PNG file begins, up to one too many."""
    place = len(_PNG)
    for _ in range(MAX_PARTS + 1):
        if place >= len(file):
            return
        yield place
        place += 12 + int.from_bytes(file[place : place + 4])


def _segments(file: bytes) -> Iterator[int]:
    """The marker of each segment of a JPEG file, up to one too many; what follows its end does not count."""
    place = len(_JPEG)
    for _ in range(MAX_PARTS + 1):
        found = _MARKER.search(file, place)
        if found is None or found[1][0] == _END:
            return
        yield found[1][0]
        place = found.end() + int.from_bytes(file[found.end() : found.end() + 2])
