"""One turn of the person: what was said, shown and when, from its first sound to the report."""

from __future__ import annotations

from dataclasses import dataclass, field

from opentelemetry.trace import Span, format_trace_id

from voxmesh.common.v1 import common_pb2
from voxmesh_coordinator.report import HopClock, TurnClock
from voxmesh_runtime import names
from voxmesh_runtime.telemetry import start_span, trace_context


def _span() -> Span:
    return start_span(names.SPAN_TURN)


@dataclass(slots=True)
class UserTurn:
    """A turn while it is spoken, awaits its transcript, or is answered; the root of its own trace."""

    span: Span = field(default_factory=_span)
    clock: TurnClock = field(default_factory=TurnClock)
    texts: list[str] = field(default_factory=list[str])
    images: list[bytes] = field(default_factory=list[bytes])
    is_speaking: bool = True
    paused_at_s: float = 0.0
    """Where the latest pause began, in seconds of the microphone's audio."""
    pause_hop: HopClock | None = None
    """The judgement of that pause."""
    stt_hop: HopClock | None = None

    @property
    def text(self) -> str:
        """All that was said."""
        return " ".join(text for text in self.texts if text)

    @property
    def trace_context(self) -> common_pb2.TraceContext:
        """Parent of all spans of the turn."""
        return trace_context(self.span)

    @property
    def trace_id(self) -> str:
        """The trace's id, in hex."""
        return format_trace_id(self.span.get_span_context().trace_id)

    def end(self) -> None:
        """The turn is over, answered or not."""
        self.span.set_attribute(names.TURN_INDEX, self.clock.turn_index)
        self.span.end()
