"""What the coordinator knows of the services' clocks: offsets between bounds, from every exchange, as NTP does.

A request that leaves at s by our clock and arrives at r by theirs took no time less than none, so theirs is
at most r - s ahead of ours. An answer that leaves at a by theirs and arrives at b by ours bounds it from
below by a - b. What all exchanges allow is the intersection of their intervals: the best sample of each
direction decides, however little the two ways are alike. As clocks drift, an interval widens with its age,
until newer exchanges are narrower; one that misses what was known means that a clock was set.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

MAX_CLOCKS = 512
"""Services whose clocks are remembered; those not heard of for longest are forgotten."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The service's clock minus ours lies between these, in nanoseconds."""

    lower_ns: int
    upper_ns: int

    @property
    def middle_ns(self) -> int:
        """The best guess, wrong by at most `error_ns`."""
        return (self.lower_ns + self.upper_ns) // 2

    @property
    def error_ns(self) -> int:
        """Half the width, rounded up."""
        return (self.upper_ns - self.lower_ns + 1) // 2

    def widened(self, by_ns: int) -> Bounds:
        """As wide as it is after its clocks drifted apart by `by_ns`."""
        return Bounds(self.lower_ns - by_ns, self.upper_ns + by_ns)

    def within(self, other: Bounds) -> Bounds | None:
        """What both allow; None when they contradict each other."""
        lower_ns, upper_ns = max(self.lower_ns, other.lower_ns), min(self.upper_ns, other.upper_ns)
        return Bounds(lower_ns, upper_ns) if lower_ns <= upper_ns else None


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, in nanoseconds since the epoch: left by their clock, arrived by ours."""

    answered_ns: int
    arrived_ns: int

    def earlier(self, by_ns: int) -> Answer:
        """The same with their stamp put back, as onto our clock by the offset."""
        return Answer(self.answered_ns - by_ns, self.arrived_ns)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request, sent by our clock and received by theirs, and answers to it; the time between does not matter."""

    sent_ns: int
    received_ns: int
    answers: tuple[Answer, ...]

    @property
    def ended_ns(self) -> int:
        """The last answer arrived."""
        return max(answer.arrived_ns for answer in self.answers)

    def bounds(self, at_ns: int, drift_ppm: float) -> Bounds | None:
        """What this exchange alone says of the clock at a time of ours; None when it contradicts itself."""
        upper_ns = self.received_ns - self.sent_ns + _drift_ns(at_ns - self.sent_ns, drift_ppm)
        lower_ns = max(
            answer.answered_ns - answer.arrived_ns - _drift_ns(at_ns - answer.arrived_ns, drift_ppm)
            for answer in self.answers
        )
        return Bounds(lower_ns, upper_ns) if lower_ns <= upper_ns else None


class ServiceClock:
    """One service's clock, for the life of the coordinator.

    Args:
        drift_ppm: the most by which the two clocks run at different speeds, in millionths.
    """

    def __init__(self, drift_ppm: float) -> None:
        self.drift_ppm = drift_ppm
        self.steps = 0
        """Times that a clock was found to have been set."""
        self._bounds: Bounds | None = None
        self._at_ns = 0

    def observe(self, exchange: Exchange) -> None:
        """Learn from an exchange."""
        at_ns = max(self._at_ns, exchange.ended_ns)
        seen, known = exchange.bounds(at_ns, self.drift_ppm), self.at(at_ns)
        both = seen if known is None or seen is None else seen.within(known)
        if known is not None and both is None:
            self.steps += 1
        # After a step only the newest exchange counts, and one in whose midst it came tells nothing.
        self._bounds, self._at_ns = both or seen, at_ns

    def at(self, time_ns: int) -> Bounds | None:
        """What is known of the clock at a time of ours; None when nothing is."""
        if self._bounds is None:
            return None
        return self._bounds.widened(_drift_ns(time_ns - self._at_ns, self.drift_ppm))

    def during(self, exchange: Exchange) -> Bounds | None:
        """The clock at the end of an exchange that was observed; None when its stamps contradict each other."""
        own, known = exchange.bounds(exchange.ended_ns, self.drift_ppm), self.at(exchange.ended_ns)
        if own is None or known is None:
            return own
        # A step since then makes what is known now wrong for that time.
        return own.within(known) or own


class Clocks:
    """The clocks of all services that the coordinator has talked to, each by its name and host."""

    def __init__(self, drift_ppm: float) -> None:
        self._drift_ppm = drift_ppm
        self._clocks: OrderedDict[tuple[str, str], ServiceClock] = OrderedDict()

    def of(self, service: str, host: str) -> ServiceClock:
        """The clock of a service on a host."""
        key = (service, host)
        clock = self._clocks.setdefault(key, ServiceClock(self._drift_ppm))
        self._clocks.move_to_end(key)
        if len(self._clocks) > MAX_CLOCKS:
            self._clocks.popitem(last=False)
        return clock


def _drift_ns(elapsed_ns: int, drift_ppm: float) -> int:
    return round(abs(elapsed_ns) * drift_ppm / 1e6) + 1
