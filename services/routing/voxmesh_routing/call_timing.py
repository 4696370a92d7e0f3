"""One call to a service within a turn: our stamps and its own, put on one clock and divided without a rest.

ours    sent ─── there ──►                                  ◄── back ─── first output ······ finished
theirs                    received  input  queue  started  compute  first output ··········· finished
"""

from __future__ import annotations

from dataclasses import dataclass

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_routing.clock_offset import Answer, Bounds, Exchange, ServiceClock
from voxmesh_runtime.clock import SYSTEM_CLOCK, Clock, duration, seconds_of, timestamp

NS = 1_000_000_000
DRIFT_PPM = 50.0
"""Drift between clocks when nobody says otherwise, in millionths."""

ANSWERS_EARLIER_WORK = frozenset({"stt"})
"""Services that answer without pause: what comes first after a request may have been under way before it, and
nothing tells it apart. Their last answer, which says what it answers, counts as the first too."""


@dataclass(slots=True)
class UpstreamCallTiming:
    """Our stamps of one call to a service, in nanoseconds since the epoch.

    Made, or `sent_ns` set, before the request is sent: the bounds of the service's clock rest on it. Without
    `sent_ns` that is now.
    """

    service: str
    host: str
    sent_ns: int = 0
    first_output_ns: int | None = None
    finished_ns: int | None = None
    timing: common_pb2.Timing | None = None
    is_listening: bool = False
    """Part of hearing the person out, which is done whatever follows."""
    clock: Clock = SYSTEM_CLOCK

    def __post_init__(self) -> None:
        self.sent_ns = self.sent_ns or self.clock.wall_ns()

    def output(self) -> None:
        """An answer came; only the first is kept."""
        if self.first_output_ns is None:
            self.first_output_ns = self.clock.wall_ns()

    def finish(self, timing: common_pb2.Timing) -> None:
        """The last answer came, with the service's own stamps."""
        self.output()
        self.finished_ns = self.clock.wall_ns()
        self.timing = timing

    def served_by(self, ready: common_pb2.Ready) -> None:
        """Who took the request, where that was open when it was stamped."""
        self.service, self.host = f"{self.slot}/{ready.engine}", ready.host

    @property
    def slot(self) -> str:
        """The kind of service, such as "stt"."""
        return self.service.partition("/")[0]

    @property
    def worked_s(self) -> float:
        """What the service computed, as it says, or else how long it has been at it."""
        if self.timing is not None:
            return seconds_of(self.timing.compute_duration)
        return (self.clock.wall_ns() - self.sent_ns) / NS

    @property
    def exchange(self) -> Exchange | None:
        """What it tells of the service's clock; None before it is finished."""
        if self.timing is None or self.finished_ns is None:
            return None
        answers = [Answer(self.timing.finished_time.ToNanoseconds(), self.finished_ns)]
        if (first := self._first_answer) is not None:
            answers.append(first)
        return Exchange(self.sent_ns, self.timing.received_time.ToNanoseconds(), tuple(answers))

    @property
    def _first_answer(self) -> Answer | None:
        """The first output; None where it is not known which that was."""
        if self.timing is None or self.first_output_ns is None or not self.timing.HasField("first_output_time"):
            return None
        if self.slot in ANSWERS_EARLIER_WORK:
            return None
        return Answer(self.timing.first_output_time.ToNanoseconds(), self.first_output_ns)

    def to_proto(self, clock: ServiceClock | None = None) -> conversation_pb2.Hop:
        """The hop as far as it got; without a clock its own exchange is all that is known of the service's."""
        hop = conversation_pb2.Hop(service=self.service, host=self.host, sent_time=timestamp(self.sent_ns))
        if self.first_output_ns is not None:
            hop.first_output_time.CopyFrom(timestamp(self.first_output_ns))
        if self.finished_ns is not None:
            hop.finished_time.CopyFrom(timestamp(self.finished_ns))
        if self.timing is not None and (exchange := self.exchange) is not None:
            hop.service_timing.CopyFrom(self.timing)
            self._put_on_one_clock(hop, self.timing, (clock or ServiceClock(DRIFT_PPM)).during(exchange))
        return hop

    def _put_on_one_clock(self, hop: conversation_pb2.Hop, timing: common_pb2.Timing, bounds: Bounds | None) -> None:
        last = Answer(timing.finished_time.ToNanoseconds(), self.finished_ns or self.sent_ns)
        answer = self._first_answer or last
        theirs = (timing.received_time, timing.started_time)
        received_ns, started_ns = (stamp.ToNanoseconds() for stamp in theirs)
        if bounds is None:
            stamps = _unknown(self.sent_ns, received_ns, started_ns, answer)
        else:
            by_ns = bounds.middle_ns
            stamps = _ordered(self.sent_ns, received_ns - by_ns, started_ns - by_ns, answer.earlier(by_ns))
            hop.clock_offset.CopyFrom(duration(by_ns / NS))
            hop.clock_offset_error.CopyFrom(duration(bounds.error_ns / NS))
            left_ns = max(stamps.answered_ns, timing.finished_time.ToNanoseconds() - by_ns)
            _tell(hop, stamps, min(left_ns, self.finished_ns or left_ns))
        hop.first_output_time.CopyFrom(timestamp(answer.arrived_ns))
        _divide(hop, stamps, timing.queue_duration.ToNanoseconds())


@dataclass(frozen=True, slots=True)
class _Stamps:
    """A hop until its first output on our clock, in order."""

    sent_ns: int
    received_ns: int
    started_ns: int
    answered_ns: int
    arrived_ns: int


def _ordered(sent_ns: int, received_ns: int, started_ns: int, answer: Answer) -> _Stamps:
    """Corrected stamps, none before the one it follows: what drift did within the bound is cut off."""
    received_ns = min(max(received_ns, sent_ns), answer.arrived_ns)
    answered_ns = min(max(answer.answered_ns, received_ns), answer.arrived_ns)
    return _Stamps(sent_ns, received_ns, min(max(started_ns, received_ns), answered_ns), answered_ns, answer.arrived_ns)


def _unknown(sent_ns: int, received_ns: int, started_ns: int, answer: Answer) -> _Stamps:
    """Where nothing is known of the clock: the service's lengths, no longer than there was time, in the middle."""
    there_was_ns = answer.arrived_ns - sent_ns
    served_ns = min(max(0, answer.answered_ns - received_ns), there_was_ns)
    there_ns = (there_was_ns - served_ns) // 2
    at_ns = sent_ns + there_ns
    return _ordered(sent_ns, at_ns, at_ns + started_ns - received_ns, Answer(at_ns + served_ns, answer.arrived_ns))


def _tell(hop: conversation_pb2.Hop, stamps: _Stamps, finished_ns: int) -> None:
    """The service's stamps on our clock."""
    hop.corrected_received_time.CopyFrom(timestamp(stamps.received_ns))
    hop.corrected_started_time.CopyFrom(timestamp(stamps.started_ns))
    hop.corrected_first_output_time.CopyFrom(timestamp(stamps.answered_ns))
    hop.corrected_finished_time.CopyFrom(timestamp(finished_ns))


def _divide(hop: conversation_pb2.Hop, stamps: _Stamps, queue_ns: int) -> None:
    """Divide the time from the request to the first output; the parts add up to it exactly."""
    there_ns, back_ns = stamps.received_ns - stamps.sent_ns, stamps.arrived_ns - stamps.answered_ns
    waited_ns = stamps.started_ns - stamps.received_ns
    queue_ns = min(queue_ns, waited_ns)
    hop.network_duration.CopyFrom(duration((there_ns + back_ns) / NS))
    hop.network_there_duration.CopyFrom(duration(there_ns / NS))
    hop.network_back_duration.CopyFrom(duration(back_ns / NS))
    hop.input_duration.CopyFrom(duration((waited_ns - queue_ns) / NS))
    hop.queue_duration.CopyFrom(duration(queue_ns / NS))
    hop.compute_duration.CopyFrom(duration((stamps.answered_ns - stamps.started_ns) / NS))
