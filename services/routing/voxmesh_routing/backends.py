"""The backends of a slot in the operator's order: which take a language, are well, serve a purpose, and how soon.

A backend that fails, refuses or dawdles is left at once; it is asked for its health in the
background, and used again when it is well.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from copy import copy
from statistics import median

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from voxmesh_routing.failures import ServiceFailed
from voxmesh_routing.settings import BackendSettings
from voxmesh_routing.status import DOWN, BackendStatus, SlotStatus, state_of, status_of
from voxmesh_runtime.channels import open_channel
from voxmesh_runtime.language_tags import primary

log = logging.getLogger(__name__)

Connect = Callable[[str], grpc.aio.Channel]
"""Opens a channel to a target."""

REMEMBERED = 20
"""Answers that count in what a backend usually takes."""
ENOUGH = 5
PATIENCE = 5.0
"""A backend that takes so many times its usual wait dawdles."""
LEAST_PATIENCE_S = 2.0
FIRST_PATIENCE_S = 15.0
"""The same, in seconds, before there is a history: a model may be slow to begin where nothing is warm."""
PROBE_TIMEOUT_S = 2.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 10.0
"""Pauses between two looks at the health of a backend that is left, in seconds."""
LOOK_TIMEOUT_S = 1.0
"""Longest wait for a backend's health where somebody waits for the answer."""


class Backend:
    """One backend of one slot, shared by all sessions; `on_change` is called when it is well again."""

    def __init__(
        self,
        slot: str,
        settings: BackendSettings,
        on_change: Callable[[], None] = lambda: None,
        connect: Connect = open_channel,
    ) -> None:
        self.settings = settings
        self.label = f"{slot} at {settings.target}"
        self.channel = connect(settings.target)
        self.problem = ""
        """Why it is left; empty while it is well."""
        self._on_change = on_change
        self._waits = deque[float](maxlen=REMEMBERED)
        self._probe: asyncio.Task[None] | None = None

    @property
    def is_well(self) -> bool:
        """Nothing is known against it."""
        return not self.problem

    @property
    def known(self) -> BackendStatus:
        """How it is, as far as conversations have found out."""
        return BackendStatus(target=self.settings.target, is_well=self.is_well, reason=self.problem)

    async def look(self) -> BackendStatus:
        """How it is, by its own word just now."""
        problem = await self._ask_health(LOOK_TIMEOUT_S)
        return BackendStatus(target=self.settings.target, is_well=not problem, reason=problem)

    def failed(self, reason: str) -> None:
        """Leave it until it is healthy again."""
        if self.is_well:
            self.problem = reason
            log.warning("a backend is left", extra={"backend": self.label, "reason": reason})
            self._probe = asyncio.create_task(self._wait_until_healthy())

    def opened(self) -> None:
        """It took a stream, and so is well."""
        if self._probe is not None:
            self._probe.cancel()
        self._is_well_again()

    def answered(self, wait_s: float) -> None:
        """Its first output came after so long."""
        self._waits.append(wait_s)

    @property
    def patience_s(self) -> float:
        """Wait after which it dawdles: by its own history, once that is long enough."""
        if len(self._waits) < ENOUGH:
            return FIRST_PATIENCE_S
        return max(LEAST_PATIENCE_S, PATIENCE * median(self._waits))

    async def close(self) -> None:
        """Stop probing and close the channel."""
        if self._probe is not None:
            self._probe.cancel()
        await self.channel.close()

    async def _wait_until_healthy(self) -> None:
        # The first look is not at once: what has just failed may not know it yet.
        pause_s = FIRST_PAUSE_S
        await asyncio.sleep(pause_s)
        while await self._ask_health(PROBE_TIMEOUT_S):
            await asyncio.sleep(pause_s)
            pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)
        self._is_well_again()

    def _is_well_again(self) -> None:
        if not self.is_well:
            self.problem, self._probe = "", None
            log.info("a backend is well again", extra={"backend": self.label})
            self._on_change()

    async def _ask_health(self, timeout_s: float) -> str:
        """What is wrong with it by its own word; empty when it is healthy."""
        stub = health_pb2_grpc.HealthStub(self.channel)
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=timeout_s)  # pyright: ignore[reportAttributeAccessIssue] # untyped stub
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                return f"no answer within {timeout_s:g} s; is it running and reachable from here?"
            return ServiceFailed.from_call(self.label, error).problem
        if answer.status == health_pb2.HealthCheckResponse.SERVING:
            return ""
        return "it is not serving: it loads, has lost what it needs, or stops"


class Slot:
    """The backends of one slot, as conversations with one purpose prefer them; at first those with none."""

    def __init__(self, name: str, backends: Sequence[BackendSettings], connect: Connect = open_channel) -> None:
        self.name = name
        self.listeners = set[Callable[[], None]]()
        """Called when one of its backends is well again."""
        self.backends = [Backend(name, settings, self._tell, connect) for settings in backends]
        self.purpose = ""

    def for_purpose(self, purpose: str) -> Slot:
        """The same backends, and what is known of them, for conversations with another purpose."""
        view = copy(self)
        view.purpose = purpose
        return view

    @property
    def known(self) -> list[BackendStatus]:
        """How its backends are, as far as conversations have found out."""
        return [backend.known for backend in self.backends]

    @property
    def is_down(self) -> bool:
        """None of its backends is well, as far as that is known."""
        return state_of(self.known) == DOWN

    async def look(self) -> SlotStatus:
        """How it is by its backends' own word just now; they are asked all at once."""
        return status_of(self.name, await asyncio.gather(*(backend.look() for backend in self.backends)))

    @property
    def has_purpose(self) -> bool:
        """A backend is named for the purpose."""
        return any(self.purpose in backend.settings.purposes for backend in self.backends)

    def candidates(self, languages: Sequence[str] = ()) -> list[Backend]:
        """Backends to try, best first: by language, then by health, then by purpose.

        One that lacks the language would misunderstand, and one that failed would not answer; one that is
        meant for something else does both, so a purpose orders those that are alike in the rest.

        Args:
            languages: BCP-47 tags that may be spoken; several mean that they may be mixed.
        """

        def order(backend: Backend) -> tuple[bool, bool, int]:
            lacks_language = not _takes(backend.settings, languages)
            return lacks_language, not backend.is_well, _rank(backend.settings, self.purpose)

        # Sorting is stable: among equals the operator's order holds.
        return sorted(self.backends, key=order)

    def has_other(self, backend: Backend) -> bool:
        """There is another backend that is well."""
        return any(other is not backend and other.is_well for other in self.backends)

    def _tell(self) -> None:
        for listener in list(self.listeners):
            listener()

    async def close(self) -> None:
        """Close all channels."""
        for backend in self.backends:
            await backend.close()


def _takes(settings: BackendSettings, languages: Sequence[str]) -> bool:
    known = {primary(tag) for tag in settings.languages}
    wanted = {primary(tag) for tag in languages}
    if len(wanted) > 1 and not settings.mixed_languages:
        return False
    return not known or wanted <= known


def _rank(settings: BackendSettings, purpose: str) -> int:
    """0 for a backend for this purpose, 1 for one for all, 2 for one for others."""
    if purpose in settings.purposes:
        return 0
    return 2 if settings.purposes else 1
