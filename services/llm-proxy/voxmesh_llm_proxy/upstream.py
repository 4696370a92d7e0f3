"""Requests to an OpenAI-compatible server: retried until the first token, and never after it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from openai import APIError, APIStatusError, AsyncOpenAI, AsyncStream, Timeout
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from voxmesh_llm_proxy.endpoint import Endpoint
from voxmesh_llm_proxy.settings import LlmSettings
from voxmesh_llm_proxy.slots import Slots
from voxmesh_llm_proxy.structs import Json
from voxmesh_llm_proxy.upstream_errors import before_answer, in_mid_answer, is_transient, retry_after_s
from voxmesh_runtime.errors import TimedOut, Unavailable, VoxmeshError

log = logging.getLogger(__name__)

_OPTIONAL_FIELDS = ("chat_template_kwargs", "top_k", "stream_options")
"""Fields that a generation can do without, when the upstream knows them not."""
_UNKNOWN_FIELD = {400, 422}


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
        self.unknown_fields: set[str] = set()
        """Optional fields that the server has refused; they are sent no more."""
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
    async def chat(
        self, body: Json, effort: Effort, owner: object
    ) -> AsyncGenerator[AsyncIterator[ChatCompletionChunk]]:
        """The answer to a request, chunk by chunk; leaving the block aborts what is still written.

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
            stream, first = await self._begin(self._placed(body, slot), effort)
            try:
                yield self._chunks(stream, first, effort)
            finally:
                await stream.close()

    async def prefill(self, body: Json, owner: object) -> None:
        """Let the server read a request and write nothing of use; only while it has a slot free, and tried once."""
        if not self._prefills or self._slots.are_taken:
            return
        async with self._slots.take(owner) as slot:
            try:
                stream, _ = await self._attempt(self._placed({**body, "max_tokens": 1}, slot), Effort())
                await stream.close()
            except (APIError, VoxmeshError) as error:
                log.debug("the upstream did not read ahead", exc_info=error)

    def _placed(self, body: Json, slot: int) -> Json:
        """The request for one of the server's slots, where it is ours."""
        return {**body, "id_slot": slot} if self.endpoint.keeps_what_it_read else body

    async def _begin(
        self, body: Json, effort: Effort
    ) -> tuple[AsyncStream[ChatCompletionChunk], list[ChatCompletionChunk]]:
        """The stream and its chunks up to the first output."""
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self._settings.retry_attempts),
            retry=retry_if_exception(self._may_retry),
            wait=self._wait_s,
            before_sleep=_log_retry,
            reraise=True,
        )
        try:
            return await retrying(self._attempt, body, effort)
        except APIError as error:
            url = str(self._client.base_url)
            raise before_answer(error, str(body["model"]), url) from error

    async def _attempt(
        self, body: Json, effort: Effort
    ) -> tuple[AsyncStream[ChatCompletionChunk], list[ChatCompletionChunk]]:
        limit_s = self._settings.first_token_timeout_s
        client = await self.client()
        effort.sent_ns = time.time_ns()
        sent = time.monotonic()
        try:
            async with asyncio.timeout(limit_s):
                stream = await self._open(client, body)
                try:
                    first = await _first_output(stream)
                except BaseException:
                    await stream.close()
                    raise
        except TimeoutError:
            raise TimedOut(f"the upstream wrote nothing for {limit_s:g} s; try again or send less") from None
        finally:
            effort.compute_s = time.monotonic() - sent
        return stream, first

    async def _open(self, client: AsyncOpenAI, body: Json) -> AsyncStream[ChatCompletionChunk]:
        """Send the request, without those optional fields that the server does not know."""
        while True:
            known = {name: value for name, value in body.items() if name not in self.unknown_fields}
            try:
                return await client.post(
                    "/chat/completions",
                    body=known,
                    cast_to=ChatCompletion,
                    stream=True,
                    stream_cls=AsyncStream[ChatCompletionChunk],
                )
            except APIStatusError as error:
                field = _unknown_field(error, known)
                if field is None:
                    raise
                self.unknown_fields.add(field)
                log.warning("the upstream does not know a field; it is sent no more", extra={"field": field})

    async def _chunks(
        self, stream: AsyncStream[ChatCompletionChunk], first: list[ChatCompletionChunk], effort: Effort
    ) -> AsyncIterator[ChatCompletionChunk]:
        for chunk in first:
            yield chunk
        iterator = aiter(stream)
        while True:
            asked = time.monotonic()
            try:
                async with asyncio.timeout(self._settings.idle_timeout_s):
                    chunk = await anext(iterator)
            except StopAsyncIteration:
                return
            except TimeoutError:
                limit_s = self._settings.idle_timeout_s
                raise Unavailable(f"the upstream fell silent for {limit_s:g} s; send the generation again") from None
            except (APIError, ValueError) as error:
                raise in_mid_answer(error) from error
            finally:
                effort.compute_s += time.monotonic() - asked
            yield chunk

    def _may_retry(self, error: BaseException) -> bool:
        asked_s = retry_after_s(error)
        return is_transient(error) and (asked_s is None or asked_s <= self._settings.retry_max_wait_s)

    def _wait_s(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        # Never sooner than asked, and not all at the same moment.
        return max(retry_after_s(error) or 0.0, self._wait(state))


async def _first_output(stream: AsyncStream[ChatCompletionChunk]) -> list[ChatCompletionChunk]:
    """Chunks up to the first that holds output or the end.

    Raises:
        Unavailable: the server answers in another language than server-sent events of chunks.
    """
    chunks: list[ChatCompletionChunk] = []
    try:
        async for chunk in stream:
            chunks.append(chunk)
            if _has_output(chunk):
                return chunks
    except ValueError:
        raise Unavailable("the upstream sent no valid chunks; check that VOXMESH_UPSTREAM_URL ends in /v1") from None
    if not chunks:
        raise Unavailable("the upstream sent an empty answer; check that VOXMESH_UPSTREAM_URL ends in /v1")
    return chunks


def _has_output(chunk: ChatCompletionChunk) -> bool:
    for choice in chunk.choices or ():
        extra: dict[str, Any] = choice.delta.model_extra or {}
        reasons = extra.get("reasoning_content") or extra.get("reasoning")
        if choice.delta.content or choice.delta.tool_calls or reasons or choice.finish_reason:
            return True
    return False


def _unknown_field(error: APIStatusError, body: Json) -> str | None:
    if error.status_code not in _UNKNOWN_FIELD:
        return None
    text = f"{error.message} {error.param}"
    return next((name for name in _OPTIONAL_FIELDS if name in body and name in text), None)


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome is not None else None
    status = error.status_code if isinstance(error, APIStatusError) else None
    log.info("asking the upstream again", extra={"attempt": state.attempt_number, "status": status})
