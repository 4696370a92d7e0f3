"""Checks a file's sha256 once and remembers the outcome while its size and time stay the same."""

import contextlib
import hashlib
import json
import logging
import os
import threading
from pathlib import Path

_log = logging.getLogger(__name__)


def sha256_of(path: Path) -> str:
    """The file's sha256 in hexadecimal, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Checksums:
    """Remembers checked files in a folder, one small record a file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, path: Path) -> str:
        """The file's sha256: from the record if the file looks unchanged, else computed and recorded."""
        recorded = self._recorded(path)
        if recorded is not None:
            return recorded
        digest = sha256_of(path)
        self.record(path, digest)
        return digest

    def record(self, path: Path, digest: str) -> None:
        """Remember a digest that was just computed; a folder that cannot be written only costs time."""
        record = self._record(path)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            partial = record.with_suffix(f".{os.getpid()}-{threading.get_ident()}.part")
            partial.write_text(json.dumps({**_look(path), "sha256": digest}))
            partial.replace(record)
        except OSError as error:
            _log.info("model checksum not recorded", extra={"file": str(path), "reason": str(error)})

    def _recorded(self, path: Path) -> str | None:
        with contextlib.suppress(OSError, ValueError):
            record: dict[str, str | int] = json.loads(self._record(path).read_text())
            digest = record.pop("sha256", None)
            if record == _look(path):
                return str(digest)
        return None

    def _record(self, path: Path) -> Path:
        return self._folder / f"{hashlib.sha256(str(path).encode()).hexdigest()}.json"


def _look(path: Path) -> dict[str, str | int]:
    status = path.stat()
    return {"path": str(path), "size": status.st_size, "mtime_ns": status.st_mtime_ns}
