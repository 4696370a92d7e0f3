"""One OpenAI-compatible server: what it is asked, what it answers, and what is known of it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from voxmesh.llm.v1 import llm_pb2
from voxmesh_llm_proxy.budgets import Budget
from voxmesh_llm_proxy.catalog import Catalog
from voxmesh_llm_proxy.circuit import Circuit
from voxmesh_llm_proxy.endpoint import Address, Endpoint
from voxmesh_llm_proxy.history import History, fitted
from voxmesh_llm_proxy.messages import GenerationOptions, StreamOptions, generation_options, request_body
from voxmesh_llm_proxy.open_answer import OpenAnswer
from voxmesh_llm_proxy.optional_fields import FieldsOfUpstream
from voxmesh_llm_proxy.settings import LlmSettings
from voxmesh_llm_proxy.shapes import Shape, unknown_fields
from voxmesh_llm_proxy.slots import Slots
from voxmesh_llm_proxy.tokens import TokenCounter
from voxmesh_llm_proxy.transport import Transport
from voxmesh_llm_proxy.upstream_errors import (
    UNREACHABLE,
    Asked,
    UpstreamFailure,
    before_answer,
    in_mid_answer,
    is_of_its_health,
)
from voxmesh_llm_proxy.upstream_file import SINGLE, UpstreamSettings, single_upstream
from voxmesh_runtime.chat.complaints import Complaint, Kind, kind_of
from voxmesh_runtime.chat.events import FILTERED, Event
from voxmesh_runtime.chat.thinking import ThinkingHabits
from voxmesh_runtime.clock import SYSTEM_CLOCK, Clock
from voxmesh_runtime.errors import TimedOut, Unavailable, VoxmeshError
from voxmesh_runtime.structs import Json
from voxmesh_runtime.upstreams import shown_address

log = logging.getLogger(__name__)

COUNTS_WITHIN_S = 1.0
"""Longest wait for the counts of an answer that is over; without them it is as complete."""
REST_S = 1.0
"""How long an upstream that is at its limit is not asked, where it does not say."""
LOOK_TIMEOUT_S = 2.0


@dataclass(slots=True)
class Effort:
    """What one generation cost the upstream; filled while it runs."""

    sent_ns: int | None = None
    """Wall-clock time of the request that was answered."""
    compute_s: float = 0.0
    """Time waited for the upstream since then."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One generation, in nobody's words."""

    generate: llm_pb2.Generate
    options: StreamOptions
    history: History
    """Of the stream."""
    repair: Sequence[Json] = ()
    """Messages behind the conversation that ask for a better answer."""


class Upstream:
    """One server, of which at most `endpoint.concurrency` generations are asked at once.

    Args:
        endpoint: where it is.
        settings: of the service.
        named: what a file says of it; None takes the service's settings.
        clock: of waits.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        settings: LlmSettings,
        named: UpstreamSettings | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.named = named = named or single_upstream(settings)
        self.name = named.name
        self.endpoint = endpoint
        self.fields = FieldsOfUpstream(unknown_fields(named.shape))
        self.habits = ThinkingHabits(always=named.opens_thoughts)
        self.catalog = Catalog(self._listed, named.model, named.models)
        self.circuit = Circuit(settings.circuit_failures, clock.now, self._changed)
        self.budget = Budget(f"upstream:{named.name}", named.limits, clock.now)
        self.is_up = True
        """Our own server runs; others are as their circuits say."""
        self.on_change: Callable[[], None] = lambda: None
        """Called when `is_up` or the circuit's state is another one."""
        self._settings = settings
        self._clock = clock
        self._rests_until = 0.0
        self._prefills = endpoint.keeps_what_it_read if named.prefill is None else named.prefill
        self._slots = Slots(endpoint.concurrency, settings.queue_timeout_s)
        self._counter = TokenCounter(named.shape, self._asked_json)
        self._http = Transport(endpoint.url, settings.connect_timeout_s)
        endpoint.watch(partial(self._is_there, there=False), partial(self._is_there, there=True))

    @property
    def is_resting(self) -> bool:
        """It is at its limit, by its own word or by the operator's."""
        return self._clock.now() < self._rests_until or self.budget.refusal is not None

    @property
    def is_full(self) -> bool:
        """All its slots are taken."""
        return self._slots.are_taken

    @property
    def active_count(self) -> int:
        """Generations that it works on."""
        return self._slots.taken

    @property
    def context_tokens(self) -> int:
        """Context of its default model; 0 when it is not known."""
        return self._context_of(self.catalog.default)

    def has_model(self, wanted: str) -> bool:
        """True for a name that callers may use for one of its models; empty is its default."""
        return wanted in self.catalog.names if wanted else self.catalog.is_known

    async def close(self) -> None:
        """Close all connections and the endpoint."""
        await self._http.close()
        await self.endpoint.stop()

    async def answers(self) -> bool:
        """Look whether it answers at all, and read its models."""
        try:
            async with asyncio.timeout(LOOK_TIMEOUT_S):
                await self.catalog.read()
        except (UpstreamFailure, VoxmeshError, TimeoutError) as error:
            log.debug("the upstream does not answer a look", extra={"upstream": self.name}, exc_info=error)
            return False
        return True

    def options(self, stream: StreamOptions) -> GenerationOptions:
        """A stream's config in this server's words."""
        model = self.catalog.model(stream.config.model)
        return generation_options(stream.config, model, self._settings, thinking=stream.thinking, upstream=self.named)

    async def begin(self, wanted: Wanted, owner: object) -> Answering:
        """Ask for a generation and wait for the first of it; the answer must be closed.

        Args:
            wanted: the generation.
            owner: the same for all requests of one conversation.

        Raises:
            UpstreamFailure: it wrote nothing; `told` is for the caller.
            Overloaded: no slot came free in time, or its budget is used up.
            TimedOut: no token came in time.
            Unavailable: it is down, or answers what is no answer.
        """
        with self.circuit.trial():
            try:
                answering = await self._begin(wanted, owner)
            except (UpstreamFailure, VoxmeshError) as error:
                self._failed(error)
                raise
        self.circuit.succeeded()
        return answering

    async def prefill(self, wanted: Wanted, owner: object) -> None:
        """Let the server read a request and write nothing of use; only while it has a slot free, and tried once."""
        if not self._prefills or self._slots.are_taken:
            return
        options = self.options(wanted.options)
        generate, _ = await self._fitted(wanted.generate, options, wanted.history)
        async with self._slots.take(owner) as slot:
            try:
                body = {**request_body(generate, options), "max_tokens": 1}
                answer, _ = await self._attempt(self._placed(body, slot), Effort())
                await answer.close()
            except (UpstreamFailure, VoxmeshError) as error:
                log.debug("the upstream did not read ahead", exc_info=error)

    def asked(self, model: str) -> Asked:
        """It in messages of errors."""
        return Asked(model, shown_address(self.endpoint.url or ""), "" if self.name == SINGLE else self.name)

    async def _begin(self, wanted: Wanted, owner: object) -> Answering:
        options, effort = self.options(wanted.options), Effort()
        async with AsyncExitStack() as stack:
            slot = await stack.enter_async_context(self._slots.take(owner))
            self.budget.admit()
            generate, dropped = await self._fitted(wanted.generate, options, wanted.history)
            body = request_body(generate, options)
            body["messages"] += wanted.repair
            try:
                answer, first = await self._attempt(self._placed(body, slot), effort)
            except UpstreamFailure as failure:
                if kind_of(failure.complaint) is not Kind.FILTER:
                    failure.told = before_answer(failure.complaint, self.asked(options.model))
                    raise
                answer, first = None, [Event(finish=FILTERED)]
            return Answering(self, options, answer, first, effort, dropped, stack.pop_all())

    async def _fitted(
        self, generate: llm_pb2.Generate, options: GenerationOptions, history: History
    ) -> tuple[llm_pb2.Generate, int]:
        context = self._context_of(options.model)
        if not context or not self._settings.cut_history:
            return generate, 0
        # An answer that may be as long as the context leaves half of it.
        room = max(context - options.fields["max_tokens"], context // 2)
        return await fitted(generate, room, lambda texts: self._counter.count(texts, options.model), history)

    def _context_of(self, model: str) -> int:
        told = self.catalog.context_tokens(model)
        return (self.named.context_tokens or told) if model == self.catalog.default else told

    def _placed(self, body: Json, slot: int) -> Json:
        """The request for one of the server's slots, where they are ours."""
        if self.named.shape is Shape.LLAMA_CPP:
            body = {**body, "cache_prompt": True}
        return {**body, "id_slot": slot} if self.endpoint.keeps_what_it_read else body

    async def _attempt(self, body: Json, effort: Effort) -> tuple[OpenAnswer, list[Event]]:
        limit_s = self._settings.first_token_timeout_s
        address = await self.endpoint.address()
        effort.sent_ns = self._clock.wall_ns()
        sent = self._clock.now()
        try:
            async with asyncio.timeout(limit_s):
                return await self._ask(address, body)
        except TimeoutError:
            who = self.asked("").who
            raise TimedOut(f"{who} wrote nothing for {limit_s:g} s; try again or send less") from None
        finally:
            effort.compute_s = self._clock.now() - sent

    async def _ask(self, address: Address, body: Json) -> tuple[OpenAnswer, list[Event]]:
        """Send the request, without those optional fields that the server does not know."""
        while True:
            known = self.fields.known(body)
            try:
                return await self._answered(address, known)
            except UpstreamFailure as failure:
                field = self.fields.learn(failure.complaint, known)
                if field is None:
                    raise
                log.warning("the upstream does not know a field; it is sent no more", extra={"field": field})

    async def _asked_json(self, path: str, body: Json, timeout_s: float) -> Any:
        """The JSON that the server answers on a path of its own, which stands beside /v1."""
        address = await self.endpoint.address()
        parts = urlsplit(address.url)
        root = parts.path.rstrip("/").removesuffix("/v1")
        url = f"{parts.scheme}://{parts.netloc}{root}{path}"
        try:
            async with asyncio.timeout(timeout_s):
                return await self._http.post(address, url, body)
        except TimeoutError:
            raise UpstreamFailure(UNREACHABLE) from None

    async def _listed(self) -> str:
        return await self._http.get(await self.endpoint.address(), "/models")

    async def _answered(self, address: Address, body: Json) -> tuple[OpenAnswer, list[Event]]:
        """The answer to a request, and its events up to the first output.

        Raises:
            UpstreamFailure: there is none.
            Unavailable: the server answers in another language than that of chat completions.
        """
        answer = OpenAnswer(await self._http.stream(address, "/chat/completions", body))
        try:
            return answer, await _first_output(answer)
        except BaseException:
            await answer.close()
            raise

    def _failed(self, error: Exception) -> None:
        if is_of_its_health(error):
            self.circuit.failed(_problem(error))
        elif isinstance(error, UpstreamFailure) and kind_of(error.complaint) is Kind.BUSY:
            self._rests_until = self._clock.now() + (error.complaint.retry_after_s or REST_S)

    def _is_there(self, *, there: bool) -> None:
        self.is_up = there
        self._changed()

    def _changed(self) -> None:
        self.on_change()


class Answering:
    """An answer that has begun; `close` aborts what is still written and frees its slot."""

    def __init__(  # noqa: PLR0917 # what an attempt has found
        self,
        upstream: Upstream,
        options: GenerationOptions,
        answer: OpenAnswer | None,
        first: Sequence[Event],
        effort: Effort,
        dropped: int,
        held: AsyncExitStack,
    ) -> None:
        self.upstream = upstream
        self.options = options
        self.effort = effort
        self.dropped = dropped
        """Messages that were left out."""
        self._answer = answer
        self._first = first
        self._held = held

    async def close(self) -> None:
        """Let go of everything."""
        try:
            if self._answer is not None:
                await self._answer.close()
        finally:
            await self._held.aclose()

    async def events(self, idle_timeout_s: float) -> AsyncIterator[Event]:
        """All events of the answer.

        Raises:
            VoxmeshError: it broke off, complains, or fell silent for `idle_timeout_s`.
        """
        is_finished = False
        for event in self._first:
            is_finished = is_finished or bool(event.finish)
            yield event
        while self._answer is not None:
            limit_s = COUNTS_WITHIN_S if is_finished else idle_timeout_s
            asked = time.monotonic()
            try:
                async with asyncio.timeout(limit_s):
                    event = await self._answer.next()
            except (TimeoutError, UpstreamFailure) as error:
                if is_finished:
                    # All that it had to say is said.
                    return
                raise self._broken_off(error, limit_s) from error
            finally:
                self.effort.compute_s += time.monotonic() - asked
            if event is None:
                return
            is_finished = is_finished or bool(event.finish)
            yield event

    def _broken_off(self, error: TimeoutError | UpstreamFailure, limit_s: float) -> VoxmeshError:
        asked = self.upstream.asked(self.options.model)
        told: VoxmeshError = Unavailable(f"{asked.who} fell silent for {limit_s:g} s; send the generation again")
        if isinstance(error, UpstreamFailure):
            told = in_mid_answer(error.complaint, asked)
        if is_of_its_health(error) or isinstance(error, TimeoutError):
            self.upstream.circuit.failed(_problem(error))
        return told


def _problem(error: BaseException) -> str:
    """Why an upstream is left, in words that hold nothing that a caller sent."""
    if isinstance(error, UpstreamFailure):
        status = error.complaint.status
        return f"HTTP {status}" if status is not None else kind_of(error.complaint).name.lower()
    return error.message if isinstance(error, VoxmeshError) else "it fell silent"


async def _first_output(answer: OpenAnswer) -> list[Event]:
    """Events up to the first that holds output or the end."""
    events: list[Event] = []
    while (event := await answer.next()) is not None:
        events.append(event)
        if event.has_output:
            return events
    if not events:
        raise Unavailable("the upstream sent an empty answer; check that its address ends in /v1")
    raise UpstreamFailure(Complaint("its answer broke off before it began"))
