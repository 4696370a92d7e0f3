"""The tool calls of the reply in progress, so that no tool runs twice and no result is lost."""

from __future__ import annotations

from collections.abc import Iterator

from voxmesh.conversation.v1.conversation_pb2 import ToolResult


class ToolResults:
    """Knows the calls that were passed on, and the results that were given; their ids are unique in the session."""

    def __init__(self) -> None:
        self._results: dict[str, ToolResult | None] = {}
        self._turn_index: int | None = None

    def begin(self, turn_index: int) -> None:
        """A turn ended: calls from now on are for its reply."""
        self._turn_index = turn_index

    def is_new(self, call_id: str) -> bool:
        """A tool is to run; true the first time."""
        if call_id in self._results:
            return False
        self._results[call_id] = None
        return True

    def add(self, result: ToolResult) -> None:
        """The application answers a call."""
        self._results[result.call_id] = result

    def get(self, call_id: str) -> ToolResult | None:
        """The result of a call; None while it runs."""
        return self._results.get(call_id)

    def given(self) -> Iterator[ToolResult]:
        """All results there are."""
        return (result for result in self._results.values() if result is not None)

    def over(self, turn_index: int) -> None:
        """A turn is over; another than the one that is being answered may be, such as one that was not understood."""
        if turn_index == self._turn_index:
            self.clear()

    def clear(self) -> None:
        """No call is to be answered any more."""
        self._results.clear()
