"""Read an upstream's chunks: text, thoughts, tool calls, and in the end why it stopped and what it counted."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import ChoiceDelta

from voxmesh.llm.v1 import llm_pb2
from voxmesh_llm_proxy.thinking import Piece, ThinkingSplitter
from voxmesh_llm_proxy.tools import ToolCallAssembler
from voxmesh_runtime.errors import Unavailable

Response = llm_pb2.StreamingGenerateResponse
Finished = llm_pb2.Finished

_REASONS = {
    "stop": Finished.REASON_STOP,
    "length": Finished.REASON_LENGTH,
    "tool_calls": Finished.REASON_TOOL_CALLS,
    "function_call": Finished.REASON_TOOL_CALLS,
    "content_filter": Finished.REASON_CONTENT_FILTER,
}


class Answer:
    """Turns the chunks of one generation into responses.

    Args:
        index: number of the generation in its stream.
        tool_names: tools that the caller offered.
        thinking: the caller wants to see thoughts; otherwise they are dropped.
    """

    def __init__(self, index: int, tool_names: Collection[str], *, thinking: bool) -> None:
        self._index = index
        self._thinking = thinking
        self._splitter = ThinkingSplitter()
        self._tools = ToolCallAssembler(tool_names, index)
        self._reason: str | None = None
        self._usage: CompletionUsage | None = None
        self.model = ""
        """The model, as the upstream names it."""

    def feed(self, chunk: ChatCompletionChunk) -> Iterator[Response]:
        """Responses that `chunk` completes.

        Raises:
            Unavailable: the model wrote a tool call that nobody can run.
        """
        self.model = chunk.model or self.model
        self._usage = chunk.usage or self._usage
        for choice in (chunk.choices or ())[:1]:
            yield from self._delta(choice.delta)
            self._reason = choice.finish_reason or self._reason

    def end(self) -> Iterator[Response]:
        """Responses that the end of the answer completes.

        Raises:
            Unavailable: the upstream stopped without saying why, so that the answer may be cut.
        """
        if self._reason is None:
            raise Unavailable("the upstream's answer ended without a reason; send the generation again")
        yield from self._texts(self._splitter.flush())
        # A call that the limit cut in two is nobody's to run.
        if self._reason != "length":
            yield from self._calls(self._tools.flush())

    def reason(self) -> llm_pb2.Finished.Reason.ValueType:
        """Why the answer is over; only after `end`."""
        # Some upstreams say "stop" after tool calls.
        if self._tools.count and self._reason == "stop":
            return Finished.REASON_TOOL_CALLS
        return _REASONS.get(self._reason or "", Finished.REASON_STOP)

    def usage(self) -> llm_pb2.Usage:
        """Tokens, as far as the upstream has told."""
        usage = self._usage
        if usage is None:
            return llm_pb2.Usage()
        cached = usage.prompt_tokens_details
        return llm_pb2.Usage(
            input_tokens=usage.prompt_tokens or 0,
            output_tokens=usage.completion_tokens or 0,
            cached_input_tokens=(cached.cached_tokens or 0) if cached is not None else 0,
        )

    def _delta(self, delta: ChoiceDelta) -> Iterator[Response]:
        extra: dict[str, Any] = delta.model_extra or {}
        thoughts = extra.get("reasoning_content") or extra.get("reasoning")
        if isinstance(thoughts, str):
            yield from self._texts([Piece(thoughts, is_thought=True)])
        if delta.content:
            yield from self._texts(self._splitter.feed(delta.content))
        if delta.tool_calls:
            yield from self._texts(self._splitter.flush())
            yield from self._calls(self._tools.feed(delta.tool_calls))

    def _texts(self, pieces: list[Piece]) -> Iterator[Response]:
        for piece in pieces:
            delta = llm_pb2.TextDelta(generation_index=self._index, text=piece.text)
            if not piece.is_thought:
                yield Response(text_delta=delta)
            elif self._thinking:
                yield Response(reasoning_delta=delta)

    def _calls(self, calls: list[llm_pb2.ToolCall]) -> Iterator[Response]:
        for call in calls:
            generated = llm_pb2.GeneratedToolCall(generation_index=self._index, tool_call=call)
            yield Response(tool_call=generated)
