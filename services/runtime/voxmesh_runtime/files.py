"""What is wrong with a file that cannot be read or written, in one line that says what to do."""

from __future__ import annotations

import errno
from pathlib import Path

_PROBLEMS = {
    errno.ENOENT: "no such file; check the path",
    errno.ENOTDIR: "no such file; check the path",
    errno.ENAMETOOLONG: "no file has so long a name; check the path",
    errno.ELOOP: "its links lead in a circle; check the path",
    errno.EISDIR: "is a folder; name a file",
    errno.EACCES: "may not be opened; check its permissions",
    errno.EPERM: "may not be opened; check its permissions",
    errno.EROFS: "lies where nothing can be written; choose another place",
    errno.ENOSPC: "no space is left; free some, or choose another place",
}


def problem_with(error: OSError, path: Path | None = None) -> str:
    """The file's name, what is wrong with it, and what to do; without a name where the error has none."""
    name = path if path is not None else error.filename
    problem = _PROBLEMS.get(error.errno or 0) or error.strerror or str(error)
    return problem if name is None else f"{name}: {problem}"
