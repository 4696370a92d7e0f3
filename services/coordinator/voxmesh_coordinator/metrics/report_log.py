"""Makes the reports of turns on the one clock that all sessions share, exports them as spans and keeps the newest."""

from __future__ import annotations

from collections import deque

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_coordinator.metrics import hop_span
from voxmesh_coordinator.metrics.turn_metrics import TurnMetrics
from voxmesh_routing.clock_offset import Clocks
from voxmesh_runtime import names
from voxmesh_runtime.clock import SYSTEM_CLOCK, Clock, timestamp
from voxmesh_runtime.errors import InvalidArgument

Request = conversation_pb2.ListTurnReportsRequest
ReportedTurn = conversation_pb2.ReportedTurn

MAX_LISTED = 1000


class ReportLog:
    """The newest turn reports of all sessions, and what is known of the services' clocks.

    Args:
        host: of the coordinator, for the reports.
        size: reports kept.
        drift_ppm: the most by which a service's clock drifts from ours, in millionths.
        clock: ours.
    """

    def __init__(self, host: str, size: int, drift_ppm: float, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self.clocks = Clocks(drift_ppm)
        self._host = host
        self._turns: deque[ReportedTurn] = deque(maxlen=size)
        self._last_ns = 0

    def make(self, turn: TurnMetrics, session_id: str) -> conversation_pb2.TurnReport:
        """The report of a turn that is over, kept and exported; the turn's span is to end after it."""
        report = turn.to_proto(self.clocks)
        report.host = self._host
        now_ns = self._last_ns = max(self._clock.wall_ns(), self._last_ns + 1)
        turn.span.set_attribute(names.GEN_AI_CONVERSATION_ID, session_id)
        for hop in report.hops:
            hop_span.export(hop, turn.span, now_ns)
        for gone in turn.discarded_hops:
            hop = gone.to_proto(self.clocks.of(gone.service, gone.host))
            hop_span.export(hop, turn.span, now_ns, discarded=True)
        self._turns.append(ReportedTurn(session_id=session_id, report_time=timestamp(now_ns), report=report))
        return report

    def find(self, request: Request) -> list[ReportedTurn]:
        """The newest reports that meet a request, oldest first.

        Raises:
            InvalidArgument: the limit is none.
        """
        if not 0 <= request.limit <= MAX_LISTED:
            raise InvalidArgument("limit", f"must be 1 to {MAX_LISTED}, or unset for 1, not {request.limit}")
        after_ns = request.after_time.ToNanoseconds()
        found = [
            turn
            for turn in self._turns
            if request.session_id in {"", turn.session_id}
            and turn.report.trace_id.startswith(request.trace_id)
            and turn.report_time.ToNanoseconds() > after_ns
        ]
        return found[-(request.limit or 1) :]
