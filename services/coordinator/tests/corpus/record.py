"""Plays the scripts and keeps what the turn machine took and ordered: `python -m corpus.record [NAME...]`, here.

With --responses FILE it writes down what the clients saw instead, which tells two coordinators apart.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from corpus.conversations import CONVERSATIONS, Conversation
from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_testing.virtual.caller import Caller
from voxmesh_testing.virtual.loop import VirtualTimeLoop
from voxmesh_testing.virtual.stage import mesh

UNSEEN = {"sequence", "words", "endOffset", "data"}
"""Fields of responses that say nothing of decisions."""


async def play(script: Conversation) -> list[dict[str, Any]]:
    """One conversation; what its client saw."""
    loop = asyncio.get_running_loop()
    async with mesh(*script.replicas, **script.settings) as there:
        there.llm.play(*script.answers)
        script.prepare(there)
        began_at = loop.time()
        async with there.talk(**script.how) as call:
            for step in script.steps:
                await step(there, call)
    return list(_seen(call, began_at))


def _seen(call: Caller, began_at: float) -> Iterator[dict[str, Any]]:
    for at, event in zip(call.times, call.heard, strict=True):
        yield {"at": round(at - began_at, 4), "is": type(event).__name__, **_fields(event)}


def _fields(event: object) -> dict[str, Any]:
    match event:
        case conversation_pb2.TurnReport():
            services = sorted(hop.service for hop in event.hops)
            return {"turn": event.turn_index, "hops": services, "discarded": event.discarded_reply_count}
        case conversation_pb2.ReplyAudio():
            return {"turn": event.turn_index, "offset": event.offset.ToJsonString(), "bytes": len(event.data)}
        case Message():
            return {name: value for name, value in MessageToDict(event).items() if name not in UNSEEN}
        case _:
            return {"text": str(event)}


class Tap:
    """Stands in the controllers' way to the machine, and writes down each step of each session."""

    def __init__(self, step: Callable[..., Any]) -> None:
        self.step = step
        self.taken: list[tuple[Any, list[tuple[float, Any, Sequence[Any]]]]] = []
        self._last: dict[int, int] = {}

    def __call__(self, state: Any, event: Any, now: float) -> Any:
        """As the machine's `step`."""
        after, commands = self.step(state, event, now)
        index = self._last.pop(id(state), None)
        if index is None:
            index = len(self.taken)
            self.taken.append((state, []))
        self.taken[index][1].append((now, event, commands))
        self._last[id(after)] = index
        return after, commands


def _responses(names: Sequence[str]) -> str:
    return "\n".join(json.dumps({name: _run(name)}) for name in names)


def _run(name: str) -> list[dict[str, Any]]:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(play(CONVERSATIONS[name]))


def _keep(name: str) -> None:
    # Here, so that a coordinator without the machine can be compared, too.
    from corpus import steps  # noqa: PLC0415
    from voxmesh_coordinator.turn import machine  # noqa: PLC0415

    tap = Tap(machine.step)
    machine.step = tap
    try:
        _run(name)
    finally:
        machine.step = tap.step
    for number, (state, taken) in enumerate(tap.taken, 1):
        steps.write(name if number == 1 else f"{name}-{number}", state, taken)


def main() -> None:
    """Play the scripts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--responses", type=Path)
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    names = args.names or list(CONVERSATIONS)
    if args.responses is not None:
        args.responses.write_text(_responses(names))
        return
    for name in names:
        _keep(name)


if __name__ == "__main__":
    main()
