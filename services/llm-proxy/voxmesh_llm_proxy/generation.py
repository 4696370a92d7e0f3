"""One generation: asked of the upstream, passed on as it is written, cancelled at any moment."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from opentelemetry.trace import Span

from voxmesh.llm.v1 import llm_pb2
from voxmesh_llm_proxy.answer import Answer, Finished, Response
from voxmesh_llm_proxy.bad_answer import BadAnswer, repair_messages
from voxmesh_llm_proxy.budgets import Budget
from voxmesh_llm_proxy.history import History
from voxmesh_llm_proxy.messages import StreamOptions
from voxmesh_llm_proxy.pipe import Pipe
from voxmesh_llm_proxy.pool import Pool
from voxmesh_llm_proxy.tokens import estimated_bytes
from voxmesh_llm_proxy.upstream import Answering, Effort, Wanted
from voxmesh_runtime import names
from voxmesh_runtime.chat.thinking import ThinkingSplitter
from voxmesh_runtime.clock import WorkClock
from voxmesh_runtime.schemas import Judge
from voxmesh_runtime.structs import Json, plain
from voxmesh_runtime.telemetry import work_span

log = logging.getLogger(__name__)

Send = Callable[[Response], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Conversation:
    """What the generations of one stream share."""

    pool: Pool
    options: StreamOptions
    budget: Budget
    """Of the caller."""
    owner: object
    """The same for all requests of the conversation."""
    idle_timeout_s: float
    history: History = field(default_factory=History)

    def wanted(self, generate: llm_pb2.Generate) -> Wanted:
        """A generation of it that is asked for the first time."""
        return Wanted(generate, self.options, self.history)


class Generation:
    """One `generate` of a stream; `run` answers it, `cancel` makes `run` finish early.

    Args:
        index: its number in the stream.
        request: has passed validation.
        stream: whose it is.
    """

    def __init__(self, index: int, request: llm_pb2.Generate, stream: Conversation) -> None:
        self.clock = WorkClock.start()
        self._index = index
        self._request = request
        self._stream = stream
        self._judges = _judges(request.tools)
        self._effort = Effort()
        self._pipe = Pipe[Response]()
        self._reading: asyncio.Task[None] | None = None
        self._cancelled = False
        self._answering: Answering | None = None
        self._answer = Answer(index, ())
        self._splitter = ThinkingSplitter()
        self._is_told = False
        self._usage = llm_pb2.Usage()

    def cancel(self) -> None:
        """Abort the request at once; nothing but `finished` is sent from now on."""
        self._cancelled = True
        self._pipe.close(discard=True)
        if self._reading is not None:
            self._reading.cancel()

    async def run(self, send: Send) -> None:
        """Answer the generation up to its `finished`.

        Raises:
            VoxmeshError: as `Pool.chat`, or the caller's budget is used up, or the model wrote what nobody can use.
        """
        attributes = {
            names.GEN_AI_OPERATION: "chat",
            names.GEN_AI_PROVIDER: self._stream.pool.first.endpoint.engine,
            names.GEN_AI_REQUEST_MODEL: self._stream.options.config.model or self._stream.pool.first.catalog.default,
        }
        with work_span(names.SPAN_LLM, self._request.trace_context, self.clock, attributes) as span:
            try:
                if not self._cancelled:
                    self._stream.budget.admit()
                    await self._relay(send)
            finally:
                self._account(span)
            await send(Response(finished=self._finished()))

    async def _relay(self, send: Send) -> None:
        # A task of its own, so that a cancel ends the request even while the caller reads nothing.
        self._reading = asyncio.create_task(self._read())
        try:
            while (response := await self._pipe.take()) is not None:
                self.clock.output()
                await send(response)
            await asyncio.wait({self._reading})
        finally:
            if not self._reading.done():
                self._reading.cancel()
                await asyncio.wait({self._reading})
        # An answer that was read to its end before the cancel came is cancelled all the same.
        with suppress(asyncio.CancelledError):
            self._reading.result()

    async def _read(self) -> None:
        try:
            try:
                await self._ask()
            except BadAnswer as bad:
                if self._is_told or self._answering is None or self._answering.upstream.named.grammar:
                    raise
                log.info("the model's answer cannot be used; it is asked once more")
                await self._ask(repair_messages(bad, self._answer.written))
        finally:
            self._pipe.close()

    async def _ask(self, repair: Sequence[Json] = ()) -> None:
        stream = self._stream
        wanted = Wanted(self._request, stream.options, stream.history, repair)
        async with stream.pool.chat(wanted, self._effort, stream.owner) as answering:
            self._begin(answering)
            try:
                async for event in answering.events(stream.idle_timeout_s):
                    await self._put(self._answer.feed(event))
            finally:
                self._count(answering)
        await self._put(self._answer.end())
        answering.upstream.habits.learn(answering.options.habit, self._splitter)
        if not repair and not answering.dropped:
            stream.history.learn(self._request, self._answer.usage().input_tokens)

    def _begin(self, answering: Answering) -> None:
        upstream, options = answering.upstream, answering.options
        judge = self._stream.options.judge
        # Not before its turn: the answers before it show how the model thinks.
        begins_with_thoughts = upstream.habits.begins_with_thoughts(options.habit)
        self._answering = answering
        self._splitter = ThinkingSplitter(begins_with_thoughts=begins_with_thoughts)
        self._answer = Answer(
            self._index,
            {tool.name for tool in self._request.tools},
            upstream=options.upstream,
            thinking=options.thinking,
            splitter=self._splitter,
            judges=self._judges,
            judge=judge,
            is_held=judge is not None and not upstream.named.grammar,
        )

    async def _put(self, responses: Iterable[Response]) -> None:
        for response in responses:
            self._is_told = True
            await self._pipe.put(response)

    def _count(self, answering: Answering) -> None:
        """Add what an answer counted to the generation's, the upstream's and the caller's account."""
        usage = self._answer.usage()
        for name in ("input_tokens", "output_tokens", "cached_input_tokens"):
            setattr(self._usage, name, getattr(self._usage, name) + getattr(usage, name))
        # One that was cut tells nothing: what was sent is the most of it.
        tokens = usage.input_tokens + usage.output_tokens or estimated_bytes(self._request.ByteSize())
        answering.upstream.budget.spend(tokens)
        self._stream.budget.spend(tokens)

    def _account(self, span: Span) -> None:
        sent_ns = self._effort.sent_ns
        queued_s = max(0.0, ((sent_ns or time.time_ns()) - self.clock.received_ns) / 1e9)
        if sent_ns is None:
            self.clock.queued_s = queued_s
        else:
            self.clock.worked(sent_ns, self._effort.compute_s, queued_s)
        span.set_attribute(names.GEN_AI_INPUT_TOKENS, self._usage.input_tokens)
        span.set_attribute(names.GEN_AI_OUTPUT_TOKENS, self._usage.output_tokens)
        first_ns = self.clock.first_output_ns
        if first_ns is not None:
            span.set_attribute(names.GEN_AI_FIRST_CHUNK, (first_ns - self.clock.received_ns) / 1e9)

    def _finished(self) -> llm_pb2.Finished:
        answering = self._answering
        return llm_pb2.Finished(
            generation_index=self._index,
            reason=Finished.REASON_CANCELLED if self._cancelled else self._answer.reason(),
            usage=self._usage,
            model=self._answer.model or ("" if answering is None else answering.options.model),
            timing=self.clock.to_proto(),
            dropped_messages=0 if answering is None else answering.dropped,
            upstream="" if answering is None else answering.upstream.name,
        )


def _judges(tools: Iterable[llm_pb2.Tool]) -> dict[str, Judge]:
    """Judges of the arguments of tools; none of one whose schema is none, which the upstream may take all the same."""
    found: dict[str, Judge] = {}
    for tool in tools:
        with suppress(ValueError):
            found[tool.name] = Judge(plain(tool.parameters))
    return found
