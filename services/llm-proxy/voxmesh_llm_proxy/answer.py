"""Read an upstream's events: text, thoughts, tool calls, and in the end why it stopped and what it counted."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from voxmesh.llm.v1 import llm_pb2
from voxmesh_llm_proxy.bad_answer import BadAnswer, judged_json
from voxmesh_llm_proxy.tools import ToolCallAssembler
from voxmesh_runtime.chat.events import Event, Tokens
from voxmesh_runtime.chat.surrogates import SurrogateJoiner
from voxmesh_runtime.chat.thinking import Piece, ThinkingSplitter
from voxmesh_runtime.control_tokens import ControlTokenFilter
from voxmesh_runtime.errors import Unavailable
from voxmesh_runtime.schemas import Judge

Response = llm_pb2.StreamingGenerateResponse
Finished = llm_pb2.Finished

_LENGTH = ("length", "max_tokens", "model_length", "max_output_tokens", "max_completion_tokens", "token_limit")
_TOOLS = ("tool_calls", "tool_call", "tool_use", "function_call", "function_calls")
_FILTERS = (
    *("content_filter", "content_filtered", "content_filter_error", "safety", "image_safety", "prohibited_content"),
    *("blocklist", "spii", "recitation", "refusal", "guardrail_intervened", "sensitive"),
)
_FAILURES = (
    *("error", "abort", "aborted", "cancelled", "canceled", "insufficient_system_resource", "network_error"),
    *("malformed_function_call", "unexpected_tool_call", "engine_overloaded"),
)
_REASONS = {
    **dict.fromkeys(_LENGTH, Finished.REASON_LENGTH),
    **dict.fromkeys(_TOOLS, Finished.REASON_TOOL_CALLS),
    **dict.fromkeys(_FILTERS, Finished.REASON_CONTENT_FILTER),
}
"""Reasons in the words of upstreams; any other is a stop."""
_CUTS = frozenset({Finished.REASON_LENGTH, Finished.REASON_CONTENT_FILTER})


class Answer:
    """Turns the events of one generation into responses.

    Args:
        index: number of the generation in its stream.
        tool_names: tools that the caller offered; where it offered none, calls are no part of the answer.
        upstream: which one, as in `ToolCallAssembler`.
        thinking: the caller wants to see thoughts; otherwise they are dropped.
        splitter: tells thoughts that are written inline.
        judges: of the arguments of tools that have a schema.
        judge: of the whole text, which must be JSON; None where any text will do.
        is_held: the text is given in one piece, once it has been judged.
    """

    def __init__(
        self,
        index: int,
        tool_names: Collection[str],
        *,
        upstream: str = "",
        thinking: bool = False,
        splitter: ThinkingSplitter | None = None,
        judges: Mapping[str, Judge] | None = None,
        judge: Judge | None = None,
        is_held: bool = False,
    ) -> None:
        self._index = index
        self._thinking = thinking
        self._splitter = splitter or ThinkingSplitter()
        self._text = SurrogateJoiner()
        self._thoughts = SurrogateJoiner()
        self._marks = ControlTokenFilter()
        self._may_call = bool(tool_names)
        self._tools = ToolCallAssembler(tool_names, upstream, judges)
        self._judge = judge
        self._is_held = is_held
        self._written: list[str] = []
        self._finish = ""
        self._is_ended = False
        self._tokens = Tokens()
        self.model = ""
        """The model, as the upstream names it."""

    def feed(self, event: Event) -> Iterator[Response]:
        """Responses that `event`, which holds no complaint, completes.

        Raises:
            BadAnswer: the model wrote a tool call that nobody can run.
        """
        self.model = event.model or self.model
        self._tokens = event.tokens or self._tokens
        if event.reasoning:
            yield from self._texts(self._splitter.no_thoughts())
            yield from self._texts([Piece(self._thoughts.feed(event.reasoning), is_thought=True)])
        if event.text:
            yield from self._texts(self._splitter.feed(self._text.feed(event.text)))
        if event.fragments and self._may_call:
            yield from self._flush_text()
            yield from self._calls(self._tools.feed(event.fragments))
        self._finish = event.finish or self._finish
        self._is_ended = self._is_ended or event.is_end

    def end(self) -> Iterator[Response]:
        """Responses that the end of the answer completes.

        Raises:
            Unavailable: the upstream stopped without saying so, or failed: the answer may be cut.
            BadAnswer: the model wrote a call that nobody can run, or what breaks the schema.
        """
        if not self._finish and not self._is_ended:
            raise Unavailable("the upstream's answer ended without a reason; send the generation again")
        if self._finish in _FAILURES:
            raise Unavailable("the upstream failed while it wrote its answer; send the generation again")
        yield from self._flush_text()
        # A call that the limit cut in two is nobody's to run.
        if _REASONS.get(self._finish) not in _CUTS:
            yield from self._calls(self._tools.flush())
        if self._finish in _TOOLS and self._may_call and not self._tools.count:
            raise BadAnswer("the upstream announced a tool call and sent none")
        yield from self._judged()

    def reason(self) -> llm_pb2.Finished.Reason.ValueType:
        """Why the answer is over; only after `end`."""
        reason = _REASONS.get(self._finish, Finished.REASON_STOP)
        if not self._may_call and reason == Finished.REASON_TOOL_CALLS:
            # Nobody offered a tool, so that nobody can run a call: the answer is the text that came.
            return Finished.REASON_STOP
        # Some upstreams say "stop" after tool calls.
        return Finished.REASON_TOOL_CALLS if self._tools.count and reason == Finished.REASON_STOP else reason

    def usage(self) -> llm_pb2.Usage:
        """Tokens, as far as the upstream has told."""
        tokens = self._tokens
        return llm_pb2.Usage(input_tokens=tokens.read, output_tokens=tokens.written, cached_input_tokens=tokens.cached)

    @property
    def written(self) -> str:
        """The text of an answer that is judged."""
        return "".join(self._written)

    def _judged(self) -> Iterator[Response]:
        if self._judge is None:
            return
        text = self.written
        # What the limit cuts is no JSON, and what stands beside calls is no answer.
        if self.reason() == Finished.REASON_STOP:
            text = judged_json(text, self._judge)
        if self._is_held and text:
            yield Response(text_delta=llm_pb2.TextDelta(generation_index=self._index, text=text))

    def _flush_text(self) -> Iterator[Response]:
        """What was held back; a tool call or the end comes after all text before it."""
        is_cut = _REASONS.get(self._finish) in _CUTS
        yield from self._texts([Piece(self._thoughts.flush(), is_thought=True)])
        yield from self._texts(self._splitter.feed(self._text.flush()))
        yield from self._texts(self._splitter.flush(is_cut=is_cut))
        yield from self._text_deltas(self._marks.flush())

    def _texts(self, pieces: list[Piece]) -> Iterator[Response]:
        for piece in pieces:
            if not piece.is_thought:
                yield from self._text_deltas(self._marks.feed(piece.text))
            elif self._thinking and piece.text:
                yield Response(reasoning_delta=llm_pb2.TextDelta(generation_index=self._index, text=piece.text))

    def _text_deltas(self, text: str) -> Iterator[Response]:
        if self._judge is not None:
            self._written.append(text)
        if text and not self._is_held:
            yield Response(text_delta=llm_pb2.TextDelta(generation_index=self._index, text=text))

    def _calls(self, calls: list[llm_pb2.ToolCall]) -> Iterator[Response]:
        for call in calls:
            generated = llm_pb2.GeneratedToolCall(generation_index=self._index, tool_call=call)
            yield Response(tool_call=generated)
