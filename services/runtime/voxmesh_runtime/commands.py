"""How a service's command ends: what its operator can mend is one line, anything else a traceback."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError

from voxmesh_runtime.errors import VoxmeshError, first_error
from voxmesh_runtime.models import ModelError

log = logging.getLogger(__name__)


class CannotListen(OSError):
    """The port is taken, or the address is not of this host."""


@contextmanager
def one_line_errors() -> Generator[None]:
    """End the process with status 1 and one line of log for an error that an operator can mend.

    Also a decorator of a service's `main`: `@one_line_errors()`.
    """
    try:
        yield
    except Exception as error:
        line = _line(first_error(error))
        if line is None:
            raise
        if not logging.root.handlers:
            logging.basicConfig(format="%(message)s")
        log.error("cannot start: %s", line)  # noqa: TRY400 # its traceback tells an operator nothing
        raise SystemExit(1) from None


def _line(error: BaseException) -> str | None:
    match error:
        case ValidationError():
            return "; ".join(_problem(problem) for problem in error.errors())
        case SettingsError():
            return f"{error}: {error.__cause__ or 'it is not of the right form'}"
        case VoxmeshError() | ModelError() | CannotListen():
            return " ".join(str(error).split())
        case _:
            return None


def _problem(problem: ErrorDetails) -> str:
    # What concerns several settings has no place of its own.
    place = ".".join(map(str, problem["loc"]))
    message = problem["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message
