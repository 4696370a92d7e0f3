"""How turns of a conversation are printed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message
from rich.text import Text

from voxmesh.common.v1.common_pb2 import OptionOutcome, Ready
from voxmesh.conversation.v1.conversation_pb2 import (
    ReplyFinished,
    ServiceChanged,
    SessionStarted,
    SlotStatus,
    TurnReport,
)
from voxmesh_client.cli.console import err, out, print_json, to_dict
from voxmesh_client.events import Event, SessionReplaced
from voxmesh_client.turns import Turn
from voxmesh_client.waterfall import waterfall

_MAX_WIDTH = 140
_IGNORED = {"config.record": "not recorded", "config.purpose": "purpose not applied"}
_PASSED_ON = frozenset({"config.language_codes"})
"""Options of a conversation that its services get as the client has set them."""
_BECAME = {OptionOutcome.OUTCOME_IGNORED: "ignores", OptionOutcome.OUTCOME_APPROXIMATED: "approximates"}

_ENDS: dict[int, str] = {
    ReplyFinished.REASON_LENGTH: "the reply reached the limit of tokens and may stop in mid-sentence",
    ReplyFinished.REASON_CONTENT_FILTER: "a content filter stopped the reply",
    ReplyFinished.REASON_TOOL_CALLS: "the model asked for tools again and again, and did not answer",
    ReplyFinished.REASON_NOTHING_SAID: "the model ended its answer without a word",
    ReplyFinished.REASON_CANCELLED: "the reply was stopped by request",
}


def print_turn(turn: Turn) -> None:
    """What was said, the reply, and where the time went."""
    out.print(Text.assemble(("you:   ", "bold"), turn.text))
    if turn.failure is None:
        out.print(Text.assemble(("reply: ", "bold"), turn.reply.strip()))
    if turn.interrupted is not None:
        out.print(Text(f"       (interrupted; heard: {turn.interrupted.heard_text})", style="dim"))
    if turn.report is not None:
        print_waterfall(turn)
    print_end(turn)
    print_failure(turn)


def print_waterfall(turn: Turn) -> None:
    """Where the time of a turn went."""
    if turn.report is not None:
        print_report(turn.report)


def print_report(report: TurnReport) -> None:
    """The drawing of a report."""
    for line in waterfall(report, min(out.width, _MAX_WIDTH)):
        out.print(line)


def print_end(turn: Turn) -> None:
    """Why a reply is not whole, in a line; what else is told, an interruption or a failure, says so itself."""
    if turn.finished is not None and (why := _ENDS.get(turn.finished.reason)):
        err.print(f"voxmesh: turn {turn.index}: {why}", style="yellow", markup=False)


def print_failure(turn: Turn) -> None:
    """Why a turn has no reply."""
    if turn.failure is not None:
        err.print(f"voxmesh: turn {turn.index} failed: {turn.failure.message}", style="red", markup=False)


def print_replaced(event: Event) -> None:
    """Tell when the conversation moved to another stream, a service to another server, or one went or came back."""
    if isinstance(event, SessionReplaced):
        outcome = "resumed" if event.resumed else "a new session began; it knows no earlier turn"
        err.print(f"voxmesh: {event.reason}: {outcome}", style="yellow", markup=False)
    elif isinstance(event, ServiceChanged):
        server = event.ready
        err.print(f"voxmesh: {event.slot} is now {server.engine} at {server.host}", style="yellow", markup=False)
        print_options(_passed_on(server))
    elif isinstance(event, SlotStatus):
        is_down = event.state == SlotStatus.STATE_DOWN
        line = f"{event.slot} is down: {event.reason}" if is_down else f"{event.slot} is back"
        err.print(f"voxmesh: {line}", style="yellow", markup=False)


def print_ignored(session: SessionStarted) -> None:
    """Tell which options of a conversation the coordinator and its services do not do as asked, and why."""
    for ready in asked_of(session):
        print_options(ready)


def asked_of(session: SessionStarted) -> list[Ready]:
    """What became of the options that the client itself has set; the coordinator sets more for its services."""
    return [*map(_passed_on, session.services[:-1]), *session.services[-1:]]


def _passed_on(ready: Ready) -> Ready:
    return Ready(engine=ready.engine, options=[option for option in ready.options if option.field in _PASSED_ON])


def print_options(ready: Ready) -> None:
    """Tell in a line each which options of a config a service does not do as asked, and why."""
    for option in not_as_asked(ready):
        became = (
            _IGNORED.get(option.field) or f"{ready.engine or 'the service'} {_BECAME[option.outcome]} {option.field}"
        )
        err.print(f"voxmesh: {became}: {option.detail}", style="yellow", markup=False)


def not_as_asked(ready: Ready) -> list[OptionOutcome]:
    """The options that were ignored or approximated."""
    return [option for option in ready.options if option.outcome in _BECAME]


def options_dict(*services: Ready) -> dict[str, Any]:
    """The same for JSON: a list named options, or nothing where all was done as asked."""
    told = [to_dict(option) for ready in services for option in not_as_asked(ready)]
    return {"options": told} if told else {}


def first_line(response: Callable[..., Message]) -> Callable[[Ready], None]:
    """Tells of options, as `print_options` does, and in a first line of JSON: the message with `ready`."""

    def show(ready: Ready) -> None:
        print_options(ready)
        if not_as_asked(ready):
            print_json(response(ready=ready))

    return show


def turn_dict(turn: Turn) -> dict[str, Any]:
    """A turn for JSON, without its audio."""
    plain: dict[str, Any] = {"turn_index": turn.index, "text": turn.text, "reply": turn.reply.strip()}
    if turn.interrupted is not None:
        plain["heard"] = turn.interrupted.heard_text
    if turn.finished is not None:
        plain["reason"] = ReplyFinished.Reason.Name(turn.finished.reason).removeprefix("REASON_")
    if turn.report is not None:
        plain["report"] = to_dict(turn.report)
    if turn.failure is not None:
        plain["failure"] = to_dict(turn.failure)
    return plain
