"""Tool calls of the language model on their way to the client and back."""

from __future__ import annotations

import asyncio
from collections import deque

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.llm.v1 import llm_pb2
from voxmesh_runtime.errors import InvalidArgument

Response = conversation_pb2.ConverseResponse


MAX_ANSWERED = 100
"""Calls that are known to have been answered; a client that came back may answer them again."""


class ToolDesk:
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
            raise InvalidArgument("tool_result.call_id", f"no tool call {result.call_id[:100]!r} waits for a result")
        if not future.done():
            future.set_result(result)

    def expect(self, call: llm_pb2.ToolCall) -> conversation_pb2.ToolCall:
        """Get ready for the result of `call`; gives the message for the client."""
        if call.call_id not in self._waiting:
            self._waiting[call.call_id] = asyncio.get_running_loop().create_future()
        return conversation_pb2.ToolCall(call_id=call.call_id, name=call.name, arguments=call.arguments)

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
        return llm_pb2.Message(role=llm_pb2.Message.ROLE_TOOL, text=text, tool_call_id=call.call_id)
