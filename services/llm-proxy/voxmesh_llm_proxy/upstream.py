"""Requests to an OpenAI-compatible server: retried until the first token, and never after it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from openai import APIError, AsyncOpenAI, AsyncStream, DefaultAsyncHttpxClient, Timeout
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from voxmesh_llm_proxy.endpoint import Endpoint, uses_proxies
from voxmesh_llm_proxy.open_answer import OpenAnswer
from voxmesh_llm_proxy.optional_fields import FieldsOfUpstream
from voxmesh_llm_proxy.settings import LlmSettings
from voxmesh_llm_proxy.slots import Slots
from voxmesh_llm_proxy.upstream_errors import (
    UpstreamFailure,
    before_answer,
    in_mid_answer,
    is_transient,
    retry_after_s,
)
from voxmesh_runtime.chat.complaints import Complaint, Kind, kind_of
from voxmesh_runtime.chat.events import FILTERED, Event
from voxmesh_runtime.chat.thinking import ThinkingHabits
from voxmesh_runtime.errors import TimedOut, Unavailable, VoxmeshError
from voxmesh_runtime.structs import Json

log = logging.getLogger(__name__)

COUNTS_WITHIN_S = 1.0
"""Longest wait for the counts of an answer that is over; without them it is as complete."""


@dataclass(slots=True)
class Effort:
    """What one generation cost the upstream; filled while it runs."""

    sent_ns: int | None = None
    """Wall-clock time of the request that was answered."""
    compute_s: float = 0.0
    """Time waited for the upstream since then."""


class Upstream:
    """One server, of which at most `endpoint.concurrency` generations are asked at once."""

    def __init__(self, endpoint: Endpoint, settings: LlmSettings) -> None:
        self.endpoint = endpoint
        self.fields = FieldsOfUpstream()
        self.habits = ThinkingHabits(always=settings.upstream_opens_thoughts)
        self._settings = settings
        self._prefills = endpoint.keeps_what_it_read if settings.prefill is None else settings.prefill
        self._slots = Slots(endpoint.concurrency, settings.queue_timeout_s)
        self._wait = wait_random_exponential(multiplier=0.1, max=settings.retry_max_wait_s)
        self._client = AsyncOpenAI(
            api_key="unset",
            base_url="http://127.0.0.1",
            max_retries=0,
            # Silence is measured here, where it can be told from slowness of the first token.
            timeout=Timeout(None, connect=settings.connect_timeout_s),
            http_client=DefaultAsyncHttpxClient(trust_env=uses_proxies(settings.upstream_url)),
        )

    async def close(self) -> None:
        """Close all connections and the endpoint."""
        await self._client.close()
        await self.endpoint.stop()

    async def client(self) -> AsyncOpenAI:
        """The HTTP client, directed at where the server is now."""
        address = await self.endpoint.address()
        self._client.base_url = address.url
        self._client.api_key = address.api_key
        return self._client

    @asynccontextmanager
    async def chat(self, body: Json, effort: Effort, owner: object) -> AsyncGenerator[AsyncIterator[Event]]:
        """The answer to a request, event by event; leaving the block aborts what is still written.

        Args:
            body: of the request.
            effort: gets what it costs.
            owner: the same for all requests of one conversation.

        Raises:
            Overloaded: no slot came free in time, or the server is at its limit.
            InvalidArgument: the server refuses the request.
            FailedPrecondition: it refuses the key or has not the model.
            TimedOut: no token came in time.
            Unavailable: it cannot be reached, failed, or broke off.
        """
        async with self._slots.take(owner) as slot:
            answer, first = await self._begin(self._placed(body, slot), effort)
            try:
                yield self._events(answer, first, effort, str(body["model"]))
            finally:
                if answer is not None:
                    await answer.close()

    async def prefill(self, body: Json, owner: object) -> None:
        """Let the server read a request and write nothing of use; only while it has a slot free, and tried once."""
        if not self._prefills or self._slots.are_taken:
            return
        async with self._slots.take(owner) as slot:
            try:
                answer, _ = await self._attempt(self._placed({**body, "max_tokens": 1}, slot), Effort())
                await answer.close()
            except (UpstreamFailure, VoxmeshError) as error:
                log.debug("the upstream did not read ahead", exc_info=error)

    def _placed(self, body: Json, slot: int) -> Json:
        """The request for one of the server's slots, where it is ours."""
        return {**body, "id_slot": slot} if self.endpoint.keeps_what_it_read else body

    async def _begin(self, body: Json, effort: Effort) -> tuple[OpenAnswer | None, list[Event]]:
        """The answer and its events up to the first output; no answer where a filter let none begin."""
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self._settings.retry_attempts),
            retry=retry_if_exception(self._may_retry),
            wait=self._wait_s,
            before_sleep=_log_retry,
            reraise=True,
        )
        try:
            return await retrying(self._attempt, body, effort)
        except UpstreamFailure as failure:
            if kind_of(failure.complaint) is Kind.FILTER:
                return None, [Event(finish=FILTERED)]
            raise before_answer(failure.complaint, str(body["model"]), str(self._client.base_url)) from failure

    async def _attempt(self, body: Json, effort: Effort) -> tuple[OpenAnswer, list[Event]]:
        limit_s = self._settings.first_token_timeout_s
        client = await self.client()
        effort.sent_ns = time.time_ns()
        sent = time.monotonic()
        try:
            async with asyncio.timeout(limit_s):
                return await self._ask(client, body)
        except TimeoutError:
            raise TimedOut(f"the upstream wrote nothing for {limit_s:g} s; try again or send less") from None
        finally:
            effort.compute_s = time.monotonic() - sent

    async def _ask(self, client: AsyncOpenAI, body: Json) -> tuple[OpenAnswer, list[Event]]:
        """Send the request, without those optional fields that the server does not know."""
        while True:
            known = self.fields.known(body)
            try:
                return await _answered(client, known)
            except UpstreamFailure as failure:
                field = self.fields.learn(failure.complaint, known)
                if field is None:
                    raise
                log.warning("the upstream does not know a field; it is sent no more", extra={"field": field})

    async def _events(
        self, answer: OpenAnswer | None, first: list[Event], effort: Effort, model: str
    ) -> AsyncIterator[Event]:
        is_finished = False
        for event in first:
            is_finished = is_finished or bool(event.finish)
            yield event
        while answer is not None:
            asked = time.monotonic()
            limit_s = COUNTS_WITHIN_S if is_finished else self._settings.idle_timeout_s
            try:
                async with asyncio.timeout(limit_s):
                    event = await answer.next()
            except (TimeoutError, UpstreamFailure) as error:
                if is_finished:
                    # All that it had to say is said.
                    return
                raise self._broken_off(error, model) from error
            finally:
                effort.compute_s += time.monotonic() - asked
            if event is None:
                return
            is_finished = is_finished or bool(event.finish)
            yield event

    def _broken_off(self, error: TimeoutError | UpstreamFailure, model: str) -> VoxmeshError:
        if isinstance(error, UpstreamFailure):
            return in_mid_answer(error.complaint, model, str(self._client.base_url))
        limit_s = self._settings.idle_timeout_s
        return Unavailable(f"the upstream fell silent for {limit_s:g} s; send the generation again")

    def _may_retry(self, error: BaseException) -> bool:
        asked_s = retry_after_s(error)
        return is_transient(error) and (asked_s is None or asked_s <= self._settings.retry_max_wait_s)

    def _wait_s(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        # Never sooner than asked, and not all at the same moment.
        return max(retry_after_s(error) or 0.0, self._wait(state))


async def _answered(client: AsyncOpenAI, body: Json) -> tuple[OpenAnswer, list[Event]]:
    """The answer to a request, and its events up to the first output.

    Raises:
        UpstreamFailure: there is none.
        Unavailable: the server answers in another language than that of chat completions.
    """
    try:
        response = await client.post(
            "/chat/completions", body=body, cast_to=httpx2.Response, stream=True, stream_cls=AsyncStream[Any]
        )
    except APIError as error:
        raise UpstreamFailure.of(error) from error
    answer = OpenAnswer(response)  # pyright: ignore[reportArgumentType] # `cast_to` decides, whatever `stream_cls` says
    try:
        return answer, await _first_output(answer)
    except BaseException:
        await answer.close()
        raise


async def _first_output(answer: OpenAnswer) -> list[Event]:
    """Events up to the first that holds output or the end."""
    events: list[Event] = []
    while (event := await answer.next()) is not None:
        events.append(event)
        if event.has_output:
            return events
    if not events:
        raise Unavailable("the upstream sent an empty answer; check that VOXMESH_UPSTREAM_URL ends in /v1")
    raise UpstreamFailure(Complaint("its answer broke off before it began"))


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome is not None else None
    status = error.complaint.status if isinstance(error, UpstreamFailure) else None
    log.info("asking the upstream again", extra={"attempt": state.attempt_number, "status": status})
