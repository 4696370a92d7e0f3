"""`voxmesh chat`: a typed conversation with the mesh."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated

import typer

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_client.cli.console import (
    BasePortOption,
    Failed,
    JsonOption,
    PurposeOption,
    TargetOption,
    err,
    input_line,
    print_json,
    run,
    settings_of,
    write_text,
)
from voxmesh_client.cli.show import (
    asked_of,
    options_dict,
    print_end,
    print_failure,
    print_ignored,
    print_replaced,
    print_waterfall,
    turn_dict,
)
from voxmesh_client.conversation import Conversation
from voxmesh_client.events import Event
from voxmesh_client.mesh import Mesh
from voxmesh_client.settings import MeshSettings
from voxmesh_client.slots import COORDINATOR
from voxmesh_client.turns import Turn, TurnLog


def chat(
    *,
    system: Annotated[str, typer.Option(help="System message.")] = "",
    times: Annotated[bool, typer.Option("--times", help="Show where the time of each turn went.")] = False,
    purpose: PurposeOption = "",
    target: TargetOption = None,
    base_port: BasePortOption = None,
    json: JsonOption = False,
) -> None:
    """Type turns and read replies; lines of standard input are turns, end of input ends.

    Examples:
      voxmesh chat
      echo "What is the capital of Japan?" | voxmesh chat
      voxmesh chat --json < questions.txt
    """
    config = conversation_pb2.ConversationConfig(system_prompt=system, text_replies_only=True, purpose=purpose)
    failed = run(_chat(settings_of(base_port, COORDINATOR, target), config, times=times, json=json))
    if failed:
        raise Failed("a turn had no reply")


async def _chat(
    settings: MeshSettings, config: conversation_pb2.ConversationConfig, *, times: bool, json: bool
) -> bool:
    """Hold the conversation; true when a turn failed."""
    log = TurnLog()
    async with Mesh(settings) as mesh, mesh.conversation(config) as conversation, aclosing(_lines()) as lines:
        print_ignored(conversation.session)
        events = aiter(conversation)
        async for line in lines:
            turn = await _turn(conversation, events, line, log, shown=not json)
            if json:
                print_json({**turn_dict(turn), **options_dict(*asked_of(conversation.session))})
            else:
                _print(turn, times=times)
    return any(turn.failure is not None for turn in log.turns)


async def _turn(
    conversation: Conversation, events: AsyncIterator[Event], line: str, log: TurnLog, *, shown: bool
) -> Turn:
    """Send a line and take events until its turn is over."""
    await conversation.send_text(line)
    earlier = len(log.turns)
    async for event in events:
        turn = log.take(event)
        print_replaced(event)
        if shown and isinstance(event, conversation_pb2.ReplyText):
            write_text(event.delta)
        # The report of a failed turn comes after its failure: it is not the end of the next one.
        if turn is not None and turn.is_over and turn in log.turns[earlier:]:
            return turn
    raise Failed("the coordinator ended the conversation; look at `voxmesh status`")


def _print(turn: Turn, *, times: bool) -> None:
    write_text("\n")
    print_end(turn)
    print_failure(turn)
    if times:
        print_waterfall(turn)


async def _lines() -> AsyncGenerator[str]:
    """Lines of standard input that say something, with a prompt on a terminal."""
    interactive = bool(sys.stdin and sys.stdin.isatty())
    while True:
        if interactive:
            err.print("> ", end="", style="bold")
        line = await asyncio.to_thread(input_line)
        if not line:
            return
        if line.strip():
            yield line.strip()
