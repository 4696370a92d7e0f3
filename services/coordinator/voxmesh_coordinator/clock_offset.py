"""The offset between two hosts' clocks and the time on the wire, from one exchange, as NTP does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """The service's clock minus ours, in seconds, right within plus or minus `error_s`."""

    offset_s: float
    error_s: float


@dataclass(frozen=True, slots=True)
class Exchange:
    """One message there and its answer back, in nanoseconds: ours, theirs, theirs, ours."""

    sent_ns: int
    received_ns: int
    answered_ns: int
    arrived_ns: int

    @property
    def network_s(self) -> float:
        """Time on the wire, both ways; never negative."""
        return max(0.0, ((self.arrived_ns - self.sent_ns) - (self.answered_ns - self.received_ns)) / 1e9)

    @property
    def clock_offset(self) -> ClockOffset:
        """Exact when both ways take equally long; the bound holds however they share the time."""
        forth_ns = self.received_ns - self.sent_ns
        back_ns = self.answered_ns - self.arrived_ns
        return ClockOffset((forth_ns + back_ns) / 2e9, self.network_s / 2)
