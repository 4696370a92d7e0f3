"""The services behind the coordinator, shared by all sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Container
from copy import copy

from voxmesh_coordinator.metrics.report_log import ReportLog
from voxmesh_coordinator.settings import CoordinatorSettings
from voxmesh_routing.backends import Connect, Slot
from voxmesh_routing.failover import Timeouts
from voxmesh_routing.settings import MAX_PURPOSE_CHARACTERS
from voxmesh_routing.status import SlotStatus
from voxmesh_runtime.channels import open_channel
from voxmesh_runtime.clock import SYSTEM_CLOCK, Clock
from voxmesh_runtime.outcomes import Outcome, applied, ignored
from voxmesh_runtime.refusals import check_count

PURPOSE_FIELD = "config.purpose"


class BackendRegistry:
    """The backends of each slot; streams of all sessions spread over the addresses of a backend's target.

    Args:
        settings: of the coordinator.
        clock: of the process; all sessions read it.
        connect: opens the channels.
    """

    def __init__(
        self, settings: CoordinatorSettings, clock: Clock = SYSTEM_CLOCK, connect: Connect = open_channel
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.timeouts = Timeouts(settings.connect_timeout_s, settings.reopen_timeout_s)
        self.reports = ReportLog(settings.host_name, settings.turn_reports_kept, settings.clock_drift_ppm, clock)
        self.purpose = ""
        # In the order of a turn.
        self.turn, self.stt, self.llm, self.tts, self.vlm = self.slots = [
            Slot(name, settings.backends(name), connect) for name in ("turn", "stt", "llm", "tts", "vlm")
        ]

    def for_purpose(self, purpose: str) -> BackendRegistry:
        """The same services, as conversations with this purpose prefer their backends.

        Raises:
            InvalidArgument: the purpose is too long.
        """
        check_count(PURPOSE_FIELD, len(purpose), MAX_PURPOSE_CHARACTERS)
        view = copy(self)
        view.purpose = purpose
        view.turn, view.stt, view.llm, view.tts, view.vlm = view.slots = [
            slot.for_purpose(purpose) for slot in self.slots
        ]
        return view

    def purpose_outcomes(self, used: Container[str]) -> list[Outcome]:
        """Whether any of the slots that a conversation uses has a backend for its purpose; nothing if it has none."""
        if not self.purpose:
            return []
        if any(slot.has_purpose for slot in self.slots if slot.name in used):
            return [applied(PURPOSE_FIELD)]
        problem = "no backend of this conversation's services is for that purpose; those for all serve it"
        return [ignored(PURPOSE_FIELD, problem)]

    async def look(self) -> list[SlotStatus]:
        """How each slot is just now; takes hardly longer than `backends.LOOK_TIMEOUT_S`."""
        return await asyncio.gather(*(slot.look() for slot in self.slots))

    async def close(self) -> None:
        """Close all channels."""
        for slot in self.slots:
            await slot.close()
