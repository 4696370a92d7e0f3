"""Where the time of one turn went: hops on the coordinator's clock, and the share they explain."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

from opentelemetry.trace import Span, format_trace_id

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_routing.call_timing import DRIFT_PPM, UpstreamCallTiming
from voxmesh_routing.clock_offset import Clocks
from voxmesh_runtime import names
from voxmesh_runtime.clock import SYSTEM_CLOCK, Clock, duration, timestamp
from voxmesh_runtime.telemetry import start_span, trace_context


@dataclass(slots=True)
class TurnMetrics:
    """The stamps of one turn and of its hops; the root of its own trace."""

    clock: Clock = SYSTEM_CLOCK
    span: Span = field(default_factory=partial(start_span, names.SPAN_TURN))
    turn_index: int = -1
    speech_ended_ns: int | None = None
    turn_endable_ns: int | None = None
    turn_ended_ns: int | None = None
    first_audio_ns: int | None = None
    hops: list[UpstreamCallTiming] = field(default_factory=list[UpstreamCallTiming])
    discarded_hops: list[UpstreamCallTiming] = field(default_factory=list[UpstreamCallTiming])
    """Those of replies thrown away; not in the report."""
    discarded_replies: int = 0
    discarded_s: float = 0.0

    @property
    def trace_context(self) -> common_pb2.TraceContext:
        """Parent of all spans of the turn."""
        return trace_context(self.span)

    def end(self) -> None:
        """The turn is over, answered or not."""
        self.span.set_attribute(names.TURN_INDEX, self.turn_index)
        self.span.end()

    def hop(self, service: str, host: str) -> UpstreamCallTiming:
        """Start a hop now."""
        hop = UpstreamCallTiming(service, host, clock=self.clock)
        self.hops.append(hop)
        return hop

    def discard(self, hops: Iterable[UpstreamCallTiming]) -> None:
        """A reply that was prepared is thrown away, with what it cost."""
        self.discarded_replies += 1
        gone = list(hops)
        self.discarded_s += sum(hop.worked_s for hop in gone)
        self.discarded_hops += gone
        self.hops = [hop for hop in self.hops if not any(hop is other for other in gone)]

    def audio_sent(self) -> None:
        """Reply audio goes to the client; only the first time is kept."""
        if self.first_audio_ns is None:
            self.first_audio_ns = self.clock.wall_ns()

    def to_proto(self, clocks: Clocks | None = None) -> conversation_pb2.TurnReport:
        """The report as far as the turn got; `clocks` learn from its exchanges, then correct them."""
        clocks = clocks or Clocks(DRIFT_PPM)
        for hop in (*self.hops, *self.discarded_hops):
            if (exchange := hop.exchange) is not None:
                clocks.of(hop.service, hop.host).observe(exchange)
        report = conversation_pb2.TurnReport(
            turn_index=self.turn_index,
            trace_id=format_trace_id(self.span.get_span_context().trace_id),
            hops=[self._hop(hop, clocks) for hop in sorted(self.hops, key=lambda hop: hop.sent_ns)],
            explained_share=self._explained_share(),
            discarded_reply_count=self.discarded_replies,
            discarded_compute_duration=duration(self.discarded_s),
        )
        for name in ("speech_ended", "turn_endable", "turn_ended", "first_audio"):
            time_ns: int | None = getattr(self, f"{name}_ns")
            if time_ns is not None:
                getattr(report, f"{name}_time").CopyFrom(timestamp(time_ns))
        return report

    def _hop(self, clock: UpstreamCallTiming, clocks: Clocks) -> conversation_pb2.Hop:
        hop = clock.to_proto(clocks.of(clock.service, clock.host))
        is_early = self.turn_ended_ns is not None and clock.sent_ns < self.turn_ended_ns
        hop.speculative = is_early and not clock.is_listening
        return hop

    def _explained_share(self) -> float:
        """Share of the time until the first audio in which a hop, or the wait for the end of turn, ran."""
        begin_ns = self.speech_ended_ns or self.turn_ended_ns
        if begin_ns is None or self.first_audio_ns is None or self.first_audio_ns <= begin_ns:
            return 0.0
        spans = [(hop.sent_ns, hop.finished_ns or self.first_audio_ns) for hop in self.hops]
        # What came after the turn could have ended is for the hops to explain, though it ended later.
        waited_until_ns = self.turn_endable_ns or self.turn_ended_ns
        if waited_until_ns is not None:
            spans.append((begin_ns, waited_until_ns))
        return min(1.0, _covered_ns(spans, begin_ns, self.first_audio_ns) / (self.first_audio_ns - begin_ns))


def _covered_ns(spans: Iterable[tuple[int, int]], begin_ns: int, end_ns: int) -> int:
    """Length of the union of `spans` between two times."""
    covered, reached = 0, begin_ns
    for start, stop in sorted(spans):
        start, stop = max(start, reached), min(stop, end_ns)  # noqa: PLW2901 # clipped to what is new
        if stop > start:
            covered += stop - start
            reached = stop
    return covered
