"""What every verb shares: its options, where it prints, and how it fails."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TextIO, TypeVar

import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.console import Console

from voxmesh_client.settings import MeshSettings
from voxmesh_client.slots import Slot

Result = TypeVar("Result")

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
BasePortOption = Annotated[
    int | None,
    typer.Option(min=1, max=65529, help="Port of the coordinator; the others follow it. [default: 50050]"),
]
TargetOption = Annotated[
    str | None, typer.Option(help="gRPC target of the service, as host:port. [env: VOXMESH_<SERVICE>_TARGET]")
]
PurposeOption = Annotated[
    str, typer.Option(help="What the conversation is for, as the operator names it for backends, such as support.")
]

_PIPE_COLUMNS = 160

_HAS_TERMINAL = bool(sys.stdout and sys.stdout.isatty())  # a shell may have closed it

out = Console(highlight=False, soft_wrap=True, width=None if _HAS_TERMINAL else _PIPE_COLUMNS)
"""Results."""
err = Console(stderr=True, highlight=False, soft_wrap=True)
"""Progress, hints and errors."""


class Failed(Exception):
    """A verb cannot do its work; the message says why and what to do."""


def settings_of(base_port: int | None, slot: Slot | None = None, target: str | None = None) -> MeshSettings:
    """Settings from the environment with what the command line overrides."""
    settings = MeshSettings()
    if base_port is not None:
        settings = settings.model_copy(update={"base_port": base_port})
    return settings if slot is None else settings.with_target(slot, target)


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a verb's coroutine to its end."""
    return asyncio.run(work)


def prepare_output() -> None:
    """Let nothing that is printed fail for its letters: a file's name may hold any bytes, a terminal may lack some."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 # stays open to the end
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def end_output() -> None:
    """Print what is held back, or drop it where nobody can take it: at exit Python would complain of it."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def input_text() -> str:
    """All of standard input.

    Raises:
        Failed: there is none, or it is no text.
    """
    return "".join(input_lines())


def input_lines() -> Iterator[str]:
    """Standard input line by line, each with its end."""
    while line := input_line():
        yield line


def input_line(most: int = -1) -> str:
    """The next line of standard input with its end, at most so many characters of it; empty at the end of input.

    Raises:
        Failed: there is no standard input, or it is no text.
    """
    stream: TextIO | None = sys.stdin
    if stream is None:
        raise Failed("there is no standard input; give the text as an argument, or pipe it in")
    if hasattr(stream, "reconfigure") and getattr(stream, "errors", "strict") != "strict":
        stream.reconfigure(errors="strict")  # pyright: ignore[reportAttributeAccessIssue] # a TextIOWrapper
    try:
        return stream.readline(most)
    except UnicodeDecodeError as error:
        wrong = f"standard input is no {error.encoding.upper()} text (byte 0x{error.object[error.start]:02x})"
        raise Failed(f"{wrong}; convert it, for example: iconv -f LATIN1 -t UTF-8 FILE") from None


def read_bytes(path: Path) -> bytes:
    """All of a file.

    Raises:
        Failed: it is empty.
        OSError: it cannot be read.
    """
    data = path.read_bytes()
    if not data:
        raise Failed(f"{path}: is empty; name another file")
    return data


def require_place(path: Path | None) -> None:
    """See that a file can be written there, before anything is done for it.

    Raises:
        Failed: there is no such folder, or nothing may be written.
    """
    if path is None or (path.exists() and not path.is_dir() and os.access(path, os.W_OK)):
        return
    if path.is_dir():
        raise Failed(f"{path}: is a folder; name a file")
    if not path.parent.is_dir():
        raise Failed(f"{path}: there is no folder {path.parent}; make it, or choose another place")
    if path.exists() or not os.access(path.parent, os.W_OK):
        raise Failed(f"{path}: may not be written; check its permissions, or choose another place")


def print_json(value: Mapping[str, Any] | Message) -> None:
    """Print one line of JSON, at once."""
    plain = to_dict(value) if isinstance(value, Message) else value
    sys.stdout.write(json.dumps(plain, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def to_dict(message: Message) -> dict[str, Any]:
    """A message as JSON has it, with the contract's names and all scalar fields."""
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def write_text(text: str) -> None:
    """Print a piece of text as it comes, without a line end."""
    sys.stdout.write(text)
    sys.stdout.flush()
