"""Tool calls of the language model on their way to the client and back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.llm.v1 import llm_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.cleaning import arguments_json, cleaned
from voxmesh_runtime.errors import InvalidArgument
from voxmesh_runtime.quoting import quote

MAX_ANSWERED = 200
"""Calls that are known to have been answered; a client that came back may answer them again."""
MAX_CALLS = 100
"""Calls of one answer that are made; no model means more."""
MAX_TURN_MESSAGES = 400
"""Calls and results of one turn after which no more tools are offered."""
MAX_RESULT_CHARACTERS = 50_000
"""Longest result that the language model reads; the rest of it is left out."""


def may_call(rounds: Sequence[session_pb2.ToolRound], max_rounds: int) -> bool:
    """The language model may wait for tools once more in this turn."""
    return len(rounds) < max_rounds and sum(1 + len(each.calls) for each in rounds) < MAX_TURN_MESSAGES


def own_calls(
    calls: Iterable[llm_pb2.ToolCall], turn_index: int, rounds: Sequence[session_pb2.ToolRound]
) -> list[llm_pb2.ToolCall]:
    """The calls of one answer under ids of our own, unique in the session whatever the upstream calls them.

    Another coordinator that goes on with the turn numbers on from the rounds that are kept.
    """
    own: list[llm_pb2.ToolCall] = []
    before = sum(len(each.calls) for each in rounds)
    for number, call in enumerate(list(calls)[:MAX_CALLS], before):
        named = llm_pb2.ToolCall()
        named.CopyFrom(call)
        named.call_id = f"call_{turn_index}_{number}"
        own.append(named)
    return own


class ToolCallTracker:
    """Waits for the results of calls that the client was asked to make."""

    def __init__(self, tools: list[conversation_pb2.Tool], timeout_s: float) -> None:
        self.tools = [
            llm_pb2.Tool(name=tool.name, description=tool.description, parameters=tool.parameters) for tool in tools
        ]
        self._timeout_s = timeout_s
        self._waiting: dict[str, asyncio.Future[conversation_pb2.ToolResult]] = {}
        self._answered: deque[str] = deque(maxlen=MAX_ANSWERED)
        self.is_taken_over = False
        """There may be calls that only another coordinator knew; their results say nothing any more."""

    def result(self, result: conversation_pb2.ToolResult) -> None:
        """The client answers; repeats are dropped.

        Raises:
            InvalidArgument: no call of that id was made.
        """
        future = self._waiting.get(result.call_id)
        if result.call_id in self._answered or (future is None and self.is_taken_over):
            return
        if future is None:
            raise InvalidArgument("tool_result.call_id", f"no tool call {quote(result.call_id)} waits for a result")
        if not future.done():
            future.set_result(result)

    def expect(self, call: llm_pb2.ToolCall) -> conversation_pb2.ToolCall:
        """Get ready for the result of `call`; gives the message for the client."""
        if call.call_id not in self._waiting:
            self._waiting[call.call_id] = asyncio.get_running_loop().create_future()
        return conversation_pb2.ToolCall(
            call_id=call.call_id, name=call.name, arguments=call.arguments, arguments_json=arguments_json(call)
        )

    def was_answered(self, call_id: str) -> None:
        """The client has answered this call; if it does so again that says nothing new."""
        self._answered.append(call_id)

    async def answer(self, call: llm_pb2.ToolCall) -> llm_pb2.Message:
        """The tool's answer for the language model; a tool that is late has failed."""
        try:
            async with asyncio.timeout(self._timeout_s):
                result = await self._waiting[call.call_id]
            text = f"error: {result.content}" if result.is_error else result.content
        except TimeoutError:
            text = f"error: the tool did not answer within {self._timeout_s:g} s"
        finally:
            self._waiting.pop(call.call_id, None)
            self.was_answered(call.call_id)
        text = cleaned(text[:MAX_RESULT_CHARACTERS])
        return llm_pb2.Message(role=llm_pb2.Message.ROLE_TOOL, text=text, tool_call_id=call.call_id)
