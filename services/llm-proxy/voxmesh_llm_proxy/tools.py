"""Put together the tool calls that an upstream streams in fragments.

by its number          fragments of several calls may come interleaved
by its id or name      where calls are not numbered, or all alike: a new one begins the next call
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from voxmesh.llm.v1 import llm_pb2
from voxmesh_llm_proxy.arguments import parse_written, struct_of
from voxmesh_llm_proxy.bad_answer import BadAnswer
from voxmesh_llm_proxy.call_state import CallState, encode
from voxmesh_runtime.chat.events import ToolFragment
from voxmesh_runtime.quoting import quote
from voxmesh_runtime.schemas import Judge

MAX_ARGUMENT_CHARACTERS = 200_000
MAX_CALLS = 64

_ID_CHARACTERS = string.ascii_letters + string.digits
_ID_LENGTH = 9
"""Mistral's servers take no other length."""


@dataclass(slots=True)
class _Call:
    index: int | None
    call_id: str = ""
    name: str = ""
    arguments: str = ""
    of_call: dict[str, Any] = field(default_factory=dict[str, Any])
    of_function: dict[str, Any] = field(default_factory=dict[str, Any])
    is_sent: bool = False

    @property
    def is_complete(self) -> bool:
        """Its arguments are whole, so that no more can follow."""
        if not self.arguments.rstrip().endswith("}"):
            return False
        try:
            parse_written(self.arguments)
        except ValueError:
            return False
        return True


class ToolCallAssembler:
    """Collects the fragments of one generation.

    Args:
        names: tools that the caller offered.
        upstream: which one; it alone sees again what it said of its calls.
        judges: of the arguments of tools that have a schema.
    """

    def __init__(self, names: Collection[str], upstream: str, judges: Mapping[str, Judge] | None = None) -> None:
        self._names = names
        self._upstream = upstream
        self._judges = judges or {}
        self._calls: list[_Call] = []

    @property
    def count(self) -> int:
        """Calls that have been given."""
        return sum(call.is_sent for call in self._calls)

    def feed(self, fragments: Iterable[ToolFragment]) -> list[llm_pb2.ToolCall]:
        """Add fragments; gives the calls that are known to be complete, in their order.

        Raises:
            BadAnswer: the model wrote a call that nobody can run.
        """
        done: list[llm_pb2.ToolCall] = []
        for fragment in fragments:
            call = self._call_of(fragment)
            self._add(call, fragment)
            done.extend(self._complete_before(call))
        return done

    def flush(self) -> list[llm_pb2.ToolCall]:
        """All calls that have not been given; the end of the answer completes them.

        Raises:
            BadAnswer: as for `feed`.
        """
        return [self._finish(call) for call in self._calls if not call.is_sent]

    def _call_of(self, fragment: ToolFragment) -> _Call:
        call = self._begun(fragment)
        if call is None or _begins_another(call, fragment):
            if len(self._calls) >= MAX_CALLS:
                _refuse(f"the model made more than {MAX_CALLS} tool calls")
            call = _Call(fragment.index)
            self._calls.append(call)
        return call

    def _begun(self, fragment: ToolFragment) -> _Call | None:
        """The call that a fragment would go on with."""
        last = self._calls[-1] if self._calls else None
        if last is None or fragment.index is None:
            return last
        numbered = (call for call in reversed(self._calls) if call.index == fragment.index)
        is_nameless = not fragment.call_id and not fragment.name
        return next(numbered, last if last.index is None and is_nameless else None)

    def _add(self, call: _Call, fragment: ToolFragment) -> None:
        if call.is_sent:
            if fragment.arguments.strip():
                _refuse(f"the model wrote more than the arguments of its call of {quote(call.name)}")
            return
        call.call_id = call.call_id or fragment.call_id
        call.name = call.name or fragment.name
        call.arguments += fragment.arguments
        call.of_call.update(fragment.of_call)
        call.of_function.update(fragment.of_function)
        if len(call.arguments) > MAX_ARGUMENT_CHARACTERS:
            _refuse(f"the model wrote more than {MAX_ARGUMENT_CHARACTERS} characters of tool arguments")

    def _complete_before(self, current: _Call) -> Iterable[llm_pb2.ToolCall]:
        for call in self._calls:
            if call is current or not (call.is_sent or call.is_complete):
                return
            if not call.is_sent:
                yield self._finish(call)

    def _finish(self, call: _Call) -> llm_pb2.ToolCall:
        if call.name not in self._names:
            _refuse("the model called a tool that was not offered")
        try:
            arguments = parse_written(call.arguments)
        except (ValueError, RecursionError):
            _refuse(f"the model's arguments for tool {quote(call.name)} are no JSON object")
        judge = self._judges.get(call.name)
        if judge is not None and (fault := judge.fault(arguments.value)):
            _refuse(f"the model's arguments for tool {quote(call.name)} break its schema ({fault})")
        call.is_sent = True
        state = CallState(self._upstream, call.call_id, call.of_call, call.of_function)
        return llm_pb2.ToolCall(
            call_id="".join(secrets.choice(_ID_CHARACTERS) for _ in range(_ID_LENGTH)),
            name=call.name,
            arguments=struct_of(arguments.value),
            arguments_json=arguments.text,
            upstream_state=encode(state),
        )


def _begins_another(call: _Call, fragment: ToolFragment) -> bool:
    """A fragment for the number of `call`, or for none, is of the next call."""
    if fragment.call_id and call.call_id and fragment.call_id != call.call_id:
        # Some servers give every fragment an id of its own.
        return bool(fragment.name) or call.is_complete
    if not fragment.name or not call.name:
        return False
    if fragment.name != call.name:
        return True
    if fragment.index is None and not fragment.call_id:
        return not call.arguments.strip() or call.is_complete
    return bool(fragment.arguments.strip()) and call.is_complete


def _refuse(problem: str) -> NoReturn:
    raise BadAnswer(problem)
