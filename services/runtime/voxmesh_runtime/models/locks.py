"""A lock between processes, so that one downloads and the others wait for its file."""

import fcntl
import logging
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_log = logging.getLogger(__name__)


@contextmanager
def locked(path: Path) -> Generator[None]:
    """Hold the lock file, waiting for whoever holds it; a process that dies lets go of it.

    The file stays: removing it would let two processes hold locks of the same name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _log.info("waiting for another process to fetch the model", extra={"lock": str(path)})
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
