"""Put together the tool calls that an upstream streams in fragments."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NoReturn

from google.protobuf import json_format, struct_pb2
from openai.types.chat.chat_completion_chunk import ChoiceDeltaToolCall

from voxmesh.llm.v1 import llm_pb2
from voxmesh_runtime.errors import Unavailable

MAX_ARGUMENT_CHARACTERS = 200_000
MAX_CALLS = 64


@dataclass(slots=True)
class _Call:
    call_id: str = ""
    name: str = ""
    arguments: str = ""


class ToolCallAssembler:
    """Collects the fragments of one generation; a call is complete when the next begins or the answer ends.

    Args:
        names: tools that the caller offered.
        generation_index: makes call ids for upstreams that give none.
    """

    def __init__(self, names: Collection[str], generation_index: int) -> None:
        self._names = names
        self._generation_index = generation_index
        self._current: int | None = None
        self._call = _Call()
        self._count = 0

    @property
    def count(self) -> int:
        """Calls that are complete."""
        return self._count

    def feed(self, fragments: Sequence[ChoiceDeltaToolCall]) -> list[llm_pb2.ToolCall]:
        """Add fragments; gives the calls that are complete by them.

        Raises:
            Unavailable: the model wrote a call that nobody can run.
        """
        done: list[llm_pb2.ToolCall] = []
        for fragment in fragments:
            if self._begins_another(fragment):
                done.extend(self.flush())
            self._current = fragment.index
            self._add(fragment)
        return done

    def flush(self) -> list[llm_pb2.ToolCall]:
        """The call in progress, if any, which is complete now.

        Raises:
            Unavailable: as for `feed`.
        """
        if self._current is None:
            return []
        call, self._call, self._current = self._call, _Call(), None
        if call.name not in self._names:
            _refuse("the model called a tool that was not offered")
        if self._count >= MAX_CALLS:
            _refuse(f"the model made more than {MAX_CALLS} tool calls")
        call_id = call.call_id or f"call_{self._generation_index}_{self._count}"
        self._count += 1
        return [llm_pb2.ToolCall(call_id=call_id, name=call.name, arguments=_arguments(call))]

    def _begins_another(self, fragment: ChoiceDeltaToolCall) -> bool:
        if self._current is None:
            return False
        # Some upstreams number every call 0 and tell them apart by their ids.
        other_id = bool(fragment.id) and bool(self._call.call_id) and fragment.id != self._call.call_id
        return fragment.index != self._current or other_id

    def _add(self, fragment: ChoiceDeltaToolCall) -> None:
        self._call.call_id = fragment.id or self._call.call_id
        function = fragment.function
        if function is None:
            return
        self._call.name = self._call.name or function.name or ""
        self._call.arguments += function.arguments or ""
        if len(self._call.arguments) > MAX_ARGUMENT_CHARACTERS:
            _refuse(f"the model wrote more than {MAX_ARGUMENT_CHARACTERS} characters of tool arguments")


def _arguments(call: _Call) -> struct_pb2.Struct:
    try:
        value = json.loads(call.arguments or "{}", parse_constant=_no_constant)
        return json_format.ParseDict(value, struct_pb2.Struct())
    except (ValueError, json_format.ParseError, AttributeError, TypeError, RecursionError):
        _refuse(f"the model's arguments for tool {call.name!r} are no JSON object")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _refuse(problem: str) -> NoReturn:
    # Another sample of the same model may well be right.
    raise Unavailable(f"{problem}; send the generation again", retry_after_s=0.1)
