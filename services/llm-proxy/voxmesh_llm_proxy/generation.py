"""One generation: asked of the upstream, passed on as it is written, cancelled at any moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from opentelemetry.trace import Span

from voxmesh.llm.v1 import llm_pb2
from voxmesh_llm_proxy.answer import Answer, Finished, Response
from voxmesh_llm_proxy.messages import GenerationOptions, request_body
from voxmesh_llm_proxy.pipe import Pipe
from voxmesh_llm_proxy.upstream import Effort, Upstream
from voxmesh_runtime import names
from voxmesh_runtime.chat.thinking import ThinkingSplitter
from voxmesh_runtime.clock import WorkClock
from voxmesh_runtime.telemetry import work_span

Send = Callable[[Response], Awaitable[None]]


class Generation:
    """One `generate` of a stream; `run` answers it, `cancel` makes `run` finish early.

    Args:
        index: its number in the stream.
        request: has passed validation.
        options: of the stream.
        upstream: is asked.
        owner: of the conversation, as in `Upstream.chat`.
    """

    def __init__(
        self, index: int, request: llm_pb2.Generate, options: GenerationOptions, upstream: Upstream, *, owner: object
    ) -> None:
        self.clock = WorkClock.start()
        self._index = index
        self._request = request
        self._options = options
        self._upstream = upstream
        self._owner = owner
        self._effort = Effort()
        self._pipe = Pipe[Response]()
        self._reading: asyncio.Task[None] | None = None
        self._cancelled = False

    def cancel(self) -> None:
        """Abort the request at once; nothing but `finished` is sent from now on."""
        self._cancelled = True
        self._pipe.close(discard=True)
        if self._reading is not None:
            self._reading.cancel()

    async def run(self, send: Send) -> None:
        """Answer the generation up to its `finished`.

        Raises:
            VoxmeshError: as `Upstream.chat`, or the model wrote a tool call that nobody can run.
        """
        self._begin()
        attributes = {
            names.GEN_AI_OPERATION: "chat",
            names.GEN_AI_PROVIDER: self._upstream.endpoint.engine,
            names.GEN_AI_REQUEST_MODEL: self._options.model,
        }
        with work_span(names.SPAN_LLM, self._request.trace_context, self.clock, attributes) as span:
            try:
                if not self._cancelled:
                    await self._relay(send)
            finally:
                self._account(span)
            await send(Response(finished=self._finished()))

    def _begin(self) -> None:
        # Not before its turn: the answers before it show how the model thinks.
        begins_with_thoughts = self._upstream.habits.begins_with_thoughts(self._options.habit)
        self._splitter = ThinkingSplitter(begins_with_thoughts=begins_with_thoughts)
        self._answer = Answer(
            self._index,
            {tool.name for tool in self._request.tools},
            upstream=self._options.upstream,
            thinking=self._options.thinking,
            splitter=self._splitter,
        )

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
            body = request_body(self._request, self._options)
            async with self._upstream.chat(body, self._effort, self._owner) as events:
                async for event in events:
                    for response in self._answer.feed(event):
                        await self._pipe.put(response)
            for response in self._answer.end():
                await self._pipe.put(response)
            self._upstream.habits.learn(self._options.habit, self._splitter)
        finally:
            self._pipe.close()

    def _account(self, span: Span) -> None:
        sent_ns = self._effort.sent_ns
        queued_s = max(0.0, ((sent_ns or time.time_ns()) - self.clock.received_ns) / 1e9)
        if sent_ns is None:
            self.clock.queued_s = queued_s
        else:
            self.clock.worked(sent_ns, self._effort.compute_s, queued_s)
        usage = self._answer.usage()
        span.set_attribute(names.GEN_AI_INPUT_TOKENS, usage.input_tokens)
        span.set_attribute(names.GEN_AI_OUTPUT_TOKENS, usage.output_tokens)
        first_ns = self.clock.first_output_ns
        if first_ns is not None:
            span.set_attribute(names.GEN_AI_FIRST_CHUNK, (first_ns - self.clock.received_ns) / 1e9)

    def _finished(self) -> llm_pb2.Finished:
        return llm_pb2.Finished(
            generation_index=self._index,
            reason=Finished.REASON_CANCELLED if self._cancelled else self._answer.reason(),
            usage=self._answer.usage(),
            model=self._answer.model or self._options.model,
            timing=self.clock.to_proto(),
        )
