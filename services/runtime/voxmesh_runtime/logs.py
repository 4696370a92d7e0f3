"""Logs of a service: static messages with fields, one line each, to standard error."""

from __future__ import annotations

import logging
import sys

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class FieldFormatter(logging.Formatter):
    """Appends a record's extra fields as key=value."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 # logging's name
        """The record's first line; a traceback follows it."""
        line = super().formatMessage(record)
        fields = " ".join(f"{key}={_one_line(value)}" for key, value in vars(record).items() if key not in _STANDARD)
        return f"{line} {fields}" if fields else line


def _one_line(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and " " not in text else repr(text)


def configure(level: str) -> None:
    """Send logs of `level` and above to standard error; of libraries' chatter only what DEBUG asks for."""
    handler = logging.StreamHandler(sys.stderr)
    if level.upper() != "DEBUG":
        handler.addFilter(lambda record: record.levelno >= logging.WARNING or record.name.startswith("voxmesh"))
    handler.setFormatter(FieldFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
