"""A stream to one slot that fails over by itself, and says again what was not answered.

    send ──► Replay.sent ───► queue ──► writer ──► call to the best backend
                                ▲                         │
             Replay.pending ────┘ each time it is opened  │ breaks, dawdles, or is left for a better one
                                                          ▼
    on_response ◄── Replay.received ◄──── reader ◄────────┘

The stream knows calls and backends and no slot; a Replay knows one slot's messages and no calls. The owner sends what
he has to say once, and gets each answer once, in numbers and offsets that no break changes.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import grpc
from google.protobuf.message import Message

from voxmesh.common.v1 import common_pb2
from voxmesh_routing.backends import Backend, Slot
from voxmesh_routing.failures import ServiceFailed
from voxmesh_runtime.clock import SYSTEM_CLOCK, Clock
from voxmesh_runtime.duplex import CallOver, DuplexCall

log = logging.getLogger(__name__)

TRY_GAP_S = 0.5
"""Least time between two tries to reach a slot that could not be reached, in seconds."""
TRY_S = 1.0
"""Longest such try, in seconds."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 0.5
"""Pauses between two looks at all backends within one try, in seconds."""
MAX_TRIES = 3
"""Calls in a row that may break over one piece of work before its owner is told."""
STEADY_S = 10.0
"""A call that has lasted so long, in seconds, breaks for reasons of its own: no row goes on over it."""
STANDS_STILL_S = 60.0
"""A backend that has answered nothing for so long, in seconds, is left though it is the only one."""
HIGH_WATER = 64
"""Messages that wait to be written when `writable` begins to wait."""
MAX_QUEUED = 4096
"""Messages that may wait; a backend that takes no more than that is left."""

DAWDLES = "takes far longer than it usually does"
FULL = "takes no more messages"

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)
Unit = TypeVar("Unit")
Unit_contra = TypeVar("Unit_contra", contravariant=True)
Request_contra = TypeVar("Request_contra", bound=Message, contravariant=True)
Request_co = TypeVar("Request_co", bound=Message, covariant=True)
Response_co = TypeVar("Response_co", bound=Message, covariant=True)


class Call(Protocol[Request_contra, Response_co]):
    """One call; `write` and `read` raise CallOver once it has ended, `read` gives None where it ended well."""

    async def write(self, request: Request_contra, /) -> None:
        """Send one message; waits while the service takes none."""
        ...

    async def read(self) -> Response_co | None:
        """The next answer."""
        ...

    async def half_close(self) -> None:
        """Say that no message follows."""
        ...

    def cancel(self) -> None:
        """End the call now."""
        ...


class Replay(Protocol[Unit_contra, Request_co, Response]):
    """What was said to a slot and is not answered: pure, the same for any backend and any number of breaks."""

    @property
    def is_owing(self) -> bool:
        """There is something to say to a backend, or an answer that has not come: the stream is opened for it."""
        ...

    @property
    def awaited(self) -> object | None:
        """The piece of work whose first answer is awaited with the backend's patience; None for none."""
        ...

    @property
    def settled(self) -> int:
        """Pieces of work that came to their end; breaks before the last of them are forgiven."""
        ...

    def config_for(self, backend: Backend, /) -> Request_co:
        """The first message of a call."""
        ...

    def sent(self, unit: Unit_contra, /) -> Sequence[Request_co]:
        """The owner says something; gives it as messages for a call that is open."""
        ...

    def received(self, response: Response, /) -> Response | None:
        """An answer of the call that was opened last, as the owner is to see it; None for what is not his."""
        ...

    def pending(self, ready: common_pb2.Ready, /) -> Sequence[Request_co]:
        """A backend took the config so: what has to be said to it. Its numbers and offsets count from here."""
        ...


OpenCall = Callable[[Backend], Call[Request, Response]]
Watcher = Callable[[ServiceFailed | None], None]


def over_grpc(
    method: Callable[[grpc.aio.Channel], grpc.aio.StreamStreamCall[Request, Response]],
) -> OpenCall[Request, Response]:
    """What opens a method of a service on a backend's channel."""
    return lambda backend: DuplexCall(method(backend.channel))


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a stream is tried to be opened, in seconds."""

    connect_s: float
    """Longest wait for a service to accept a stream."""
    reopen_s: float
    """The same for a service whose stream broke in mid-session."""


class FailoverStream(Generic[Unit, Request, Response]):
    """One session's stream to one slot, on the first of its backends that takes it.

    Args:
        slot: the backends.
        open_call: opens a call to one of them.
        replay: says again what was not answered.
        on_response: gets every answer that is the owner's, in order; awaiting it holds the service back.
        on_failure: nothing more is tried for what is owed: no backend can be reached, one refuses it, or three broke
            over it. Called from `send`, too. The owner withdraws it, or it is tried again with what he sends next.
        timeouts: of opening it.
        languages: that are spoken, as in `Slot.candidates`.
        clock: of the process.
    """

    def __init__(
        self,
        slot: Slot,
        open_call: OpenCall[Request, Response],
        replay: Replay[Unit, Request, Response],
        *,
        on_response: Callable[[Response], Awaitable[None]],
        on_failure: Callable[[ServiceFailed], None],
        timeouts: Timeouts,
        languages: Sequence[str] = (),
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.slot = slot.name
        self.ready = common_pb2.Ready()
        """How the latest backend took the config."""
        self.opened_ns = 0
        """When it did, by the wall clock: what it answers was said to it since then."""
        self.backend = slot.candidates(languages)[0]
        """The latest backend."""
        self.failure: ServiceFailed | None = None
        """Why the stream could not be opened the last time; None when it could."""
        self.watchers: list[Watcher] = []
        """Called with `failure` when it was opened, before anything is said, or could not be."""
        self.languages = languages
        self._slot, self._open_call, self._replay = slot, open_call, replay
        self._on_response, self._on_failure = on_response, on_failure
        self._timeouts, self._clock = timeouts, clock
        self._connection: _Connection[Request, Response] | None = None
        self._is_going_away = self._was_open = False
        self._failed_at = self._opened_at = 0.0
        self._breaks = self._settled = 0
        self._lock = asyncio.Lock()
        self._reaching: asyncio.Task[None] | None = None
        self._reader: asyncio.Task[None] | None = None
        self._patience = _Patience(clock, self._dawdles)

    @property
    def is_open(self) -> bool:
        """True while the stream works."""
        return self._connection is not None

    def send(self, unit: Unit) -> None:
        """Say something, now or as soon as there is a backend; never waits."""
        requests = self._replay.sent(unit)
        if self._connection is not None:
            if not self._connection.add(requests):
                self._break(ServiceFailed(self.backend.label, grpc.StatusCode.UNAVAILABLE, FULL))
        elif self._replay.is_owing:
            self._reach_soon()
        if self._breaks and not self._replay.is_owing:
            self._breaks = 0
        self._watch_patience()

    async def writable(self) -> None:
        """Wait until the backend has taken most of what was sent; for who sends much."""
        if self._connection is not None:
            await self._connection.drained()

    async def open(self) -> None:
        """Open the stream if it is not; retried until time is up.

        Raises:
            ServiceFailed: every backend refused the config or cannot be reached.
        """
        timeouts = self._timeouts
        await self._open(timeouts.reopen_s if self._was_open else timeouts.connect_s, timeouts.connect_s)

    async def reach(self) -> None:
        """As `open`; with one short try, and not at every call, once that has failed or the slot is known to be down.

        For those who have something else to do meanwhile.

        Raises:
            ServiceFailed: see `open`.
        """
        if self._is_resting:
            raise self._known_failure
        if self.failure is not None or (not self._was_open and self._slot.is_down):
            await self._open(0.0, TRY_S)
        else:
            await self.open()

    def move_if_better(self) -> None:
        """Now is a good moment to leave a server that is going away, or one that is worse than another that is well."""
        if not self.is_open:
            return
        if self._is_going_away or self._slot.candidates(self.languages)[0] is not self.backend:
            self._disconnect()
            self._reach_soon()

    def cancel(self) -> None:
        """End the stream without waiting, at any moment; it is opened again for what is sent after this."""
        self._disconnect()
        reaching, self._reaching = self._reaching, None
        if reaching is not None and reaching is not asyncio.current_task():
            reaching.cancel()

    # Opening.

    @property
    def _is_resting(self) -> bool:
        return self.failure is not None and self._clock.now() - self._failed_at < TRY_GAP_S

    @property
    def _known_failure(self) -> ServiceFailed:
        return (self.failure or _absent(self.backend, "the stream broke")).with_traceback(None)

    def _reach_soon(self) -> None:
        if self._is_resting:
            self._give_up(self._known_failure)
        elif self._reaching is None or self._reaching.done():
            self._reaching = asyncio.create_task(self._reach_for_work())

    async def _reach_for_work(self) -> None:
        try:
            await self.reach()
        except ServiceFailed as failure:
            if self._replay.is_owing:
                self._give_up(failure)

    async def _open(self, timeout_s: float, connect_timeout_s: float) -> None:
        async with self._lock:
            if self.is_open:
                return
            try:
                opened = await self._try_to_open(timeout_s, connect_timeout_s)
            except ServiceFailed as failure:
                self.failure, self._failed_at = failure, self._clock.now()
                self._tell(failure)
                raise
            self._begin(*opened)

    async def _try_to_open(self, timeout_s: float, connect_timeout_s: float) -> _Opened[Request, Response]:
        until, pause_s = self._clock.now() + timeout_s, FIRST_PAUSE_S
        while True:
            try:
                return await self._connect_to_first(connect_timeout_s)
            except ServiceFailed as failure:
                if not _is_transient(failure) or self._clock.now() >= until:
                    raise
            await asyncio.sleep(pause_s + random.uniform(0, FIRST_PAUSE_S))  # noqa: S311 # spreads sessions, no secret
            pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)

    async def _connect_to_first(self, timeout_s: float) -> _Opened[Request, Response]:
        candidates = self._slot.candidates(self.languages)
        failures: list[ServiceFailed] = []
        for backend in candidates:
            try:
                return await self._connect(backend, timeout_s / len(candidates))
            except ServiceFailed as failure:
                failures.append(failure)
                _count(backend, failure)
        # What may pass by itself is waited for, else the owner gets the first choice's refusal.
        raise next(filter(_is_transient, failures), failures[0])

    async def _connect(self, backend: Backend, timeout_s: float) -> _Opened[Request, Response]:
        call = self._open_call(backend)
        try:
            async with asyncio.timeout(timeout_s):
                await call.write(self._replay.config_for(backend))
                first = await call.read()
        except TimeoutError:
            call.cancel()
            raise _absent(backend, f"no answer within {timeout_s:g} s") from None
        except CallOver as over:
            raise ServiceFailed.from_over(backend.label, over) from None
        except BaseException:
            call.cancel()
            raise
        if first is None:
            raise ServiceFailed.from_over(backend.label, CallOver(None))
        return backend, call, first.ready  # pyright: ignore[reportAttributeAccessIssue] # every slot's first answer has it

    def _begin(self, backend: Backend, call: Call[Request, Response], ready: common_pb2.Ready) -> None:
        backend.opened()
        self.backend, self.ready = backend, ready
        self.failure, self._is_going_away, self._was_open = None, False, True
        self.opened_ns, self._opened_at = self._clock.wall_ns(), self._clock.now()
        self._tell(None)
        self._connection = _Connection(call, self._replay.pending(ready))
        self._reader = asyncio.create_task(self._read(self._connection, self._reader))
        self._watch_patience()

    def _tell(self, failure: ServiceFailed | None) -> None:
        for watcher in self.watchers:
            watcher(failure)

    # Reading, and what ends it.

    async def _read(self, connection: _Connection[Request, Response], before: asyncio.Task[None] | None) -> None:
        if before is not None:
            # The owner may not have taken the last answer of the call before this one.
            await asyncio.wait({before})
        try:
            while (response := await connection.call.read()) is not None:
                if self._connection is not connection:
                    # It was asked for again elsewhere.
                    return
                await self._take(response)
            failure = ServiceFailed.from_over(self.backend.label, CallOver(None))
        except CallOver as over:
            failure = ServiceFailed.from_over(self.backend.label, over)
        except Exception:
            # A bug of ours: the session must not wait for answers that nobody reads.
            log.exception("reading a service's answers failed", extra={"service": self.backend.label})
            failure = ServiceFailed(self.backend.label, grpc.StatusCode.INTERNAL, "internal error")
        if self._connection is connection:
            self._break(failure)

    async def _take(self, response: Response) -> None:
        if response.HasField("going_away"):
            self._is_going_away = True
            return
        own = self._replay.received(response)
        if self._replay.settled != self._settled:
            self._settled, self._breaks = self._replay.settled, 0
        self._watch_patience(is_answered=True)
        if own is not None:
            await self._on_response(own)

    def _break(self, failure: ServiceFailed) -> None:
        """The connection is of no use any more: go on elsewhere with what is owed."""
        self._disconnect()
        _count(self.backend, failure)
        if not self._replay.is_owing:
            return
        is_steady = self._clock.now() - self._opened_at >= STEADY_S
        self._breaks = 1 if is_steady else self._breaks + 1
        if failure.is_worth_another_try and self._breaks < MAX_TRIES:
            self._reach_soon()
        else:
            self._give_up(failure)

    def _give_up(self, failure: ServiceFailed) -> None:
        self._breaks = 0
        self._on_failure(failure)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        self._patience.end()
        if connection is not None:
            connection.close()

    def _watch_patience(self, *, is_answered: bool = False) -> None:
        awaited, before = self._replay.awaited, self._patience.awaited
        if awaited == before or self._connection is None:
            return
        if is_answered and before is not None:
            self.backend.answered(self._patience.waited_s)
        self._patience.watch(awaited, self.backend.patience_s if self._slot.has_other(self.backend) else STANDS_STILL_S)

    def _dawdles(self) -> None:
        if not self.is_open:
            return
        failure = ServiceFailed(self.backend.label, grpc.StatusCode.DEADLINE_EXCEEDED, DAWDLES)
        if self._slot.has_other(self.backend):
            self._break(failure)
        else:
            self._disconnect()
            _count(self.backend, failure)
            self._give_up(failure)


_Opened = tuple[Backend, Call[Request, Response], common_pb2.Ready]


class _Connection(Generic[Request, Response]):
    """A call that a backend took, with the messages that wait to be written."""

    def __init__(self, call: Call[Request, Response], requests: Iterable[Request]) -> None:
        self.call = call
        self._queue = deque(requests)
        self._is_closed = False
        self._added, self._taken = asyncio.Event(), asyncio.Event()
        self._writer = asyncio.create_task(self._write())

    def add(self, requests: Sequence[Request]) -> bool:
        """Append messages; False where too many wait."""
        self._queue.extend(requests)
        self._added.set()
        return len(self._queue) <= MAX_QUEUED

    async def drained(self) -> None:
        """Wait until few messages wait, or nobody takes them."""
        while len(self._queue) >= HIGH_WATER and not self._is_closed:
            self._taken.clear()
            await self._taken.wait()

    async def _write(self) -> None:
        # Why a call is over the reader gets to know.
        with suppress(CallOver):
            while True:
                while self._queue:
                    await self.call.write(self._queue.popleft())
                    self._taken.set()
                self._added.clear()
                await self._added.wait()

    def close(self) -> None:
        """End it without waiting; who reads it sees its end once the owner has taken what was read."""
        self._is_closed = True
        self._taken.set()
        self._writer.cancel()
        self.call.cancel()


class _Patience:
    """How long the first answer to a piece of work takes, and a call when that is too long."""

    def __init__(self, clock: Clock, on_end: Callable[[], None]) -> None:
        self._clock, self._on_end = clock, on_end
        self.awaited: object | None = None
        self._since = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waited_s(self) -> float:
        """Since what is awaited was asked for, in seconds."""
        return self._clock.now() - self._since

    def watch(self, awaited: object | None, patience_s: float) -> None:
        """This is awaited from now on, for so long."""
        self.end()
        self.awaited, self._since = awaited, self._clock.now()
        if awaited is not None:
            self._timer = asyncio.get_running_loop().call_later(patience_s, self._on_end)

    def end(self) -> None:
        """Nothing is awaited of this backend any more."""
        self.awaited = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _absent(backend: Backend, problem: str) -> ServiceFailed:
    return ServiceFailed(backend.label, grpc.StatusCode.UNAVAILABLE, problem)


def _is_transient(failure: ServiceFailed) -> bool:
    return failure.code == grpc.StatusCode.UNAVAILABLE


def _count(backend: Backend, failure: ServiceFailed) -> None:
    """What the caller brought about is not the backend's fault."""
    if failure.is_worth_another_try:
        backend.failed(failure.problem)
