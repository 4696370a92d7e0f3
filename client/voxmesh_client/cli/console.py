"""What every verb shares: its options, where it prints, and how it fails."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Coroutine, Mapping
from typing import Annotated, Any, TypeVar

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

out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _PIPE_COLUMNS)
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
