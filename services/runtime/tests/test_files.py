"""A file that cannot be opened is told in one line that names it and says what to do."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from voxmesh_runtime.files import problem_with

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (FileNotFoundError(errno.ENOENT, "x", "a.wav"), "a.wav: no such file; check the path"),
        (PermissionError(errno.EACCES, "x", "a.wav"), "a.wav: may not be opened; check its permissions"),
        (IsADirectoryError(errno.EISDIR, "x", "a"), "a: is a folder; name a file"),
        (OSError(errno.EIO, "Input/output error", "a.wav"), "a.wav: Input/output error"),
        (OSError(errno.ENOSPC, "x"), "no space is left; free some, or choose another place"),
        (OSError("the disk is gone"), "the disk is gone"),
    ],
)
def test_c11_a_problem_with_a_file_is_one_line(error: OSError, line: str) -> None:
    assert problem_with(error) == line


def test_c11_the_path_that_was_given_counts() -> None:
    error = PermissionError(errno.EACCES, "x", "/proc/self/fd/3")
    assert problem_with(error, Path("b.wav")) == "b.wav: may not be opened; check its permissions"
