"""The newest lines of a service's log file."""

from __future__ import annotations

import re
from pathlib import Path

_TAIL_BYTES = 8192
_PREFIX = re.compile(r"^\d{4}-\d\d-\d\d \S+ [A-Z]+ \S+: ")


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines that are not empty, oldest first; none when there is no file."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip()][-count:]


def newest_message(path: Path) -> str:
    """The newest line without time, level and logger; empty when there is none."""
    lines = last_lines(path, 1)
    return _PREFIX.sub("", lines[0]) if lines else ""
