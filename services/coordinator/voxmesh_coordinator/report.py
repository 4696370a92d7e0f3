"""Where the time of one turn went: hops on the coordinator's clock, and the share they explain."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_coordinator.clock_offset import Exchange
from voxmesh_runtime.clock import duration, seconds_of, timestamp

NS = 1_000_000_000


@dataclass(slots=True)
class HopClock:
    """Our stamps of one call to a service, in nanoseconds since the epoch."""

    service: str
    host: str
    sent_ns: int = field(default_factory=time.time_ns)
    first_output_ns: int | None = None
    finished_ns: int | None = None
    timing: common_pb2.Timing | None = None

    def output(self) -> None:
        """An answer came; only the first is kept."""
        if self.first_output_ns is None:
            self.first_output_ns = time.time_ns()

    def finish(self, timing: common_pb2.Timing) -> None:
        """The last answer came, with the service's own stamps."""
        self.output()
        self.finished_ns = time.time_ns()
        self.timing = timing

    @property
    def worked_s(self) -> float:
        """What the service computed, as it says, or else how long it has been at it."""
        if self.timing is not None:
            return seconds_of(self.timing.compute_duration)
        return (time.time_ns() - self.sent_ns) / NS

    def to_proto(self) -> conversation_pb2.Hop:
        """The hop as far as it got."""
        hop = conversation_pb2.Hop(service=self.service, host=self.host, sent_time=timestamp(self.sent_ns))
        if self.first_output_ns is not None:
            hop.first_output_time.CopyFrom(timestamp(self.first_output_ns))
        if self.finished_ns is not None:
            hop.finished_time.CopyFrom(timestamp(self.finished_ns))
        if self.timing is not None and self.first_output_ns is not None:
            self._split(hop, self.timing, self.first_output_ns)
        return hop

    def _split(self, hop: conversation_pb2.Hop, timing: common_pb2.Timing, first_output_ns: int) -> None:
        """Divide the time until the first output into network, queue and compute."""
        received_ns = timing.received_time.ToNanoseconds()
        last = timing.first_output_time if timing.HasField("first_output_time") else timing.finished_time
        answered_ns = last.ToNanoseconds()
        exchange = Exchange(self.sent_ns, received_ns, answered_ns, first_output_ns)
        queue_s = seconds_of(timing.queue_duration)
        started_ns = max(received_ns, timing.started_time.ToNanoseconds() - round(queue_s * NS))
        hop.network_duration.CopyFrom(duration(exchange.network_s))
        hop.queue_duration.CopyFrom(duration(queue_s))
        hop.compute_duration.CopyFrom(duration(max(0.0, (answered_ns - started_ns) / NS - queue_s)))
        hop.clock_offset.CopyFrom(duration(exchange.clock_offset.offset_s))
        hop.clock_offset_error.CopyFrom(duration(exchange.clock_offset.error_s))


@dataclass(slots=True)
class TurnClock:
    """The stamps of one turn and of its hops."""

    turn_index: int = -1
    speech_ended_ns: int | None = None
    turn_endable_ns: int | None = None
    turn_ended_ns: int | None = None
    first_audio_ns: int | None = None
    hops: list[HopClock] = field(default_factory=list[HopClock])
    discarded_replies: int = 0
    discarded_s: float = 0.0

    def hop(self, service: str, host: str) -> HopClock:
        """Start a hop now."""
        clock = HopClock(service, host)
        self.hops.append(clock)
        return clock

    def discard(self, hops: Iterable[HopClock]) -> None:
        """A reply that was prepared is thrown away, with what it cost."""
        self.discarded_replies += 1
        gone = list(hops)
        self.discarded_s += sum(hop.worked_s for hop in gone)
        self.hops = [hop for hop in self.hops if not any(hop is other for other in gone)]

    def audio_sent(self) -> None:
        """Reply audio goes to the client; only the first time is kept."""
        if self.first_audio_ns is None:
            self.first_audio_ns = time.time_ns()

    def to_proto(self, trace_id: str) -> conversation_pb2.TurnReport:
        """The report as far as the turn got."""
        report = conversation_pb2.TurnReport(
            turn_index=self.turn_index,
            trace_id=trace_id,
            hops=[self._hop(hop) for hop in sorted(self.hops, key=lambda hop: hop.sent_ns)],
            explained_share=self._explained_share(),
            discarded_reply_count=self.discarded_replies,
            discarded_compute_duration=duration(self.discarded_s),
        )
        for name in ("speech_ended", "turn_endable", "turn_ended", "first_audio"):
            time_ns: int | None = getattr(self, f"{name}_ns")
            if time_ns is not None:
                getattr(report, f"{name}_time").CopyFrom(timestamp(time_ns))
        return report

    def _hop(self, clock: HopClock) -> conversation_pb2.Hop:
        hop = clock.to_proto()
        is_early = self.turn_ended_ns is not None and clock.sent_ns < self.turn_ended_ns
        hop.speculative = is_early and not clock.service.startswith("turn/")
        return hop

    def _explained_share(self) -> float:
        """Share of the time until the first audio in which a hop, or the wait for the end of turn, ran."""
        begin_ns = self.speech_ended_ns or self.turn_ended_ns
        if begin_ns is None or self.first_audio_ns is None or self.first_audio_ns <= begin_ns:
            return 0.0
        spans = [(hop.sent_ns, hop.finished_ns or self.first_audio_ns) for hop in self.hops]
        if self.turn_ended_ns is not None:
            spans.append((begin_ns, self.turn_ended_ns))
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
