"""A command line that runs in the test's own process: what it prints and how it ends, without its imports each time.

What only a process has (signals, a pipe whose reader is gone, bytes in arguments) is tested with `subprocess`.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from subprocess import CompletedProcess

import pytest


def run(
    main: Callable[[], None],
    *arguments: str,
    stdin: str = "",
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> CompletedProcess[str]:
    """What a program's `main` prints, and its exit code.

    Args:
        main: ends by return or SystemExit.
        arguments: after the program's name.
        stdin: all of its standard input.
        environment: variables beside this process's.
        folder: the current one, as long as it runs.
    """
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["command", *arguments])
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), "utf-8"))
        for name, value in (environment or {}).items():
            patch.setenv(name, value)
        if folder is not None:
            patch.chdir(folder)
        code = _exit_code(main)
    return CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def _exit_code(main: Callable[[], None]) -> int:
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0
