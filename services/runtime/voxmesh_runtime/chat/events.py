"""Read the JSON of an upstream's stream, whatever its shape, into events; the one place that knows dialects.

Nothing here raises on a shape. What an upstream may leave out, name otherwise, or write as a list, an object or
a text, is read if it can mean but one thing, and is nothing otherwise.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from voxmesh_runtime.chat.complaints import Complaint, Kind, complaint_in, kind_of
from voxmesh_runtime.chat.sse import ServerEvent
from voxmesh_runtime.chat.surrogates import joined
from voxmesh_runtime.structs import Json

FILTERED = "content_filter"
"""Why an answer is over that a filter stopped."""

_DONE = "[DONE]"
_MAX_NAME_CHARACTERS = 200
_MAX_TOKENS = 2**31 - 1
_MAX_DEPTH = 4
_REASONING = ("reasoning_content", "reasoning", "thinking", "reasoning_details")
"""Where thoughts stand; servers that fill two of them say the same twice."""
_THOUGHT_PARTS = ("thinking", "reasoning", "thought")
_PART_TEXTS = ("text", "thinking", "reasoning", "content", "refusal", "value", "summary", "parts")
_OF_CALL = frozenset({"index", "id", "type", "function"})
_OF_FUNCTION = frozenset({"name", "arguments", "parameters"})
_NO_REASONS = frozenset({"", "null", "none"})
_INPUT_TOKENS = (("prompt_tokens",), ("input_tokens",))
_OUTPUT_TOKENS = (("completion_tokens",), ("output_tokens",))
_CACHED_TOKENS = (
    ("prompt_tokens_details", "cached_tokens"),
    ("input_tokens_details", "cached_tokens"),
    ("prompt_cache_hit_tokens",),
    ("cached_tokens",),
)


@dataclass(frozen=True, slots=True)
class ToolFragment:
    """A piece of a tool call, or all of it."""

    index: int | None = None
    """Number of the call in the answer; None when the upstream does not count."""
    call_id: str = ""
    name: str = ""
    arguments: str = ""
    """The next characters of its JSON."""
    of_call: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Fields that we do not know, which the upstream may want to see again."""
    of_function: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The same, of the function in it."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a generation counted."""

    read: int = 0
    written: int = 0
    cached: int = 0
    """Of those that were read."""


@dataclass(frozen=True, slots=True)
class Event:
    """What one event of a stream says; texts may end in half a character (see `surrogates`)."""

    reasoning: str = ""
    text: str = ""
    """For the person: content, or why the model refuses."""
    fragments: Sequence[ToolFragment] = ()
    finish: str = ""
    """Why the answer is over, in the upstream's words and lower case; empty while it goes on."""
    tokens: Tokens | None = None
    model: str = ""
    complaint: Complaint | None = None
    is_end: bool = False
    """The upstream says that nothing follows."""

    @property
    def has_output(self) -> bool:
        """Something of the answer, or its end."""
        return bool(self.text or self.reasoning or self.fragments or self.finish or self.is_end)


@dataclass(frozen=True, slots=True)
class _Part:
    """What a delta or message holds."""

    reasoning: str = ""
    text: str = ""
    fragments: tuple[ToolFragment, ...] = ()


class EventReader:
    """Reads the events of one answer, in their order."""

    def __init__(self) -> None:
        self._said: list[str] = []
        self._has_reasons = False
        self._has_calls = False
        self._is_over = False

    def read(self, event: ServerEvent) -> list[Event]:
        """What `event` says; nothing after the end."""
        if self._is_over:
            return []
        data = event.data.strip()
        if data.startswith(_DONE):
            return self._end()
        try:
            body = json.loads(data)
        except (ValueError, RecursionError):
            return _unreadable(data, event.name)
        return self.read_body(body, event.name)

    def read_body(self, body: object, name: str = "") -> list[Event]:
        """What the JSON of an event, or of an answer that is no stream, says."""
        if isinstance(body, list):
            return [found for item in body if isinstance(item, dict) for found in self.read_body(item, name)]
        if name == "error":
            return [_refused(body)]
        if body == _DONE:
            return self._end()
        return [self._object(body)] if isinstance(body, dict) else []

    def _end(self) -> list[Event]:
        self._is_over = True
        return [Event(is_end=True)]

    def _object(self, body: Json) -> Event:
        if (fault := _fault(body)) is not None:
            return _refused(fault)
        choice = _first_choice(body.get("choices"))
        part = self._new(choice) if choice else _Part()
        return Event(
            reasoning=part.reasoning,
            text=part.text,
            fragments=part.fragments,
            finish=_finish(choice) if choice else "",
            tokens=_tokens(body.get("usage")),
            model=_name(body.get("model")),
        )

    def _new(self, choice: Json) -> _Part:
        """What a choice adds to the answer."""
        delta = choice.get("delta")
        if delta:
            part = _part(delta)
        elif (message := choice.get("message")) is not None:
            part = self._unsaid(_part(message))
        else:
            part = _Part(text=_text(choice.get("text")))
        if part.text:
            self._said.append(part.text)
        self._has_reasons = self._has_reasons or bool(part.reasoning)
        self._has_calls = self._has_calls or bool(part.fragments)
        return part

    def _unsaid(self, whole: _Part) -> _Part:
        """What a message adds to the deltas before it: it holds the whole answer, and nothing is said twice."""
        said, text = "".join(self._said).lstrip(), whole.text.lstrip()
        if not said.strip():
            text = whole.text
        elif text.startswith(said):
            text = text.removeprefix(said)
        elif text.startswith(said.rstrip()):
            text = text.removeprefix(said.rstrip()).lstrip()
        elif said.startswith(text.rstrip()):
            text = ""
        else:
            text = whole.text
        return _Part(
            reasoning="" if self._has_reasons else whole.reasoning,
            text=text,
            fragments=() if self._has_calls else whole.fragments,
        )


def _unreadable(data: str, name: str) -> list[Event]:
    if name == "error":
        return [_refused(data)]
    # Plain words are some proxy's sign of life; JSON that is cut may have been a part of the answer.
    is_cut = data.startswith(("{", "["))
    return [Event(complaint=Complaint("an event of its stream is no JSON", "invalid_event"))] if is_cut else []


def _refused(body: object) -> Event:
    complaint = complaint_in(body)
    # A filter that speaks by an error instead of a reason.
    return Event(finish=FILTERED) if kind_of(complaint) is Kind.FILTER else Event(complaint=complaint)


def _fault(body: Json) -> object:
    """The part of an event that is a complaint; None when it is none."""
    if body.get("error"):
        return body
    if body.get("object") == "error" or body.get("type") == "error":
        return body
    is_answer = "choices" in body or "usage" in body
    is_told = isinstance(body.get("message"), str) or bool(body.get("detail"))
    return body if is_told and not is_answer else None


def _first_choice(choices: object) -> Json | None:
    """The choice that is the answer; others are alternatives."""
    listed = [choices] if isinstance(choices, dict) else choices
    if not isinstance(listed, list):
        return None
    return next((c for c in listed if isinstance(c, dict) and _index(c.get("index")) in {None, 0}), None)


def _part(value: object) -> _Part:
    if not isinstance(value, dict):
        reasoning, text = _split(value)
        return _Part(reasoning, text)
    thoughts, text = _split(value.get("content"))
    reasoning = thoughts or next((found for name in _REASONING if (found := _text(value.get(name)))), "")
    text += _text(value.get("refusal"))
    calls = value.get("tool_calls")
    legacy = value.get("function_call")
    if not calls and not legacy:
        return _Part(reasoning, text)
    return _Part(reasoning, text, (*_fragments(calls), *(_fragments({"function": legacy}) if legacy else ())))


def _split(content: object, depth: int = _MAX_DEPTH) -> tuple[str, str]:
    """Thoughts and text of content: a text, a part, or a list of either."""
    if isinstance(content, str):
        return "", content
    if isinstance(content, list) and depth:
        parts = [_split(item, depth - 1) for item in content]
        return "".join(thoughts for thoughts, _ in parts), "".join(text for _, text in parts)
    text = _text(content, depth)
    return (text, "") if isinstance(content, dict) and _is_thought(content) else ("", text)


def _is_thought(part: Json) -> bool:
    kind = part.get("type")
    return part.get("thought") is True or (isinstance(kind, str) and kind.startswith(_THOUGHT_PARTS))


def _text(value: object, depth: int = _MAX_DEPTH) -> str:
    """The text in a value of any shape; empty when it holds none."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _json(value)
    if isinstance(value, list) and depth:
        return "".join(_text(item, depth - 1) for item in value)
    if isinstance(value, dict) and depth:
        return next((text for name in _PART_TEXTS if (text := _text(value.get(name), depth - 1))), "")
    return ""


def _fragments(calls: object) -> Iterable[ToolFragment]:
    listed = [calls] if isinstance(calls, dict) else calls
    if not isinstance(listed, list):
        return ()
    found = [_fragment(call) for call in listed if isinstance(call, dict)]
    # A place that is kept for a call is none yet.
    return [part for part in found if part.call_id or part.name or part.arguments or part.of_call or part.of_function]


def _fragment(call: Json) -> ToolFragment:
    function = call.get("function")
    if not isinstance(function, dict):
        # Some write the call's name and arguments beside its id.
        name = function if isinstance(function, str) else call.get("name")
        function = {**{key: call[key] for key in call.keys() & _OF_FUNCTION}, "name": name}
        call = {key: value for key, value in call.items() if key not in _OF_FUNCTION}
    arguments = function.get("arguments", function.get("parameters"))
    return ToolFragment(
        index=_index(call.get("index")),
        call_id=_call_id(call.get("id")),
        name=_name(function.get("name")),
        arguments=arguments if isinstance(arguments, str) else "" if arguments is None else _json(arguments),
        of_call=_others(call, _OF_CALL),
        of_function=_others(function, _OF_FUNCTION),
    )


def _others(fields: Json, known: frozenset[str]) -> Json:
    if fields.keys() <= known:
        return {}
    return {name: value for name, value in fields.items() if name not in known and value is not None}


def _json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        return ""


def _call_id(value: object) -> str:
    """As the upstream wrote it: it must come back so."""
    if isinstance(value, int) and not isinstance(value, bool):
        return _json(value)
    return joined(value) if isinstance(value, str) else ""


def _name(value: object) -> str:
    return joined(value.strip()[:_MAX_NAME_CHARACTERS]) if isinstance(value, str) else ""


def _index(value: object) -> int | None:
    """A number of a call or choice; None when it is none."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,6}", value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _finish(choice: Json) -> str:
    for name in ("finish_reason", "finish_details", "done_reason"):
        reason = choice.get(name)
        if isinstance(reason, dict):
            reason = reason.get("type") or reason.get("reason")
        if isinstance(reason, list):
            reason = next((item for item in reason if isinstance(item, str)), "")
        found = _name(reason).lower()
        if found not in _NO_REASONS:
            return found
    return ""


def _tokens(usage: object) -> Tokens | None:
    if not isinstance(usage, dict) or not usage:
        return None
    return Tokens(_count(usage, _INPUT_TOKENS), _count(usage, _OUTPUT_TOKENS), _count(usage, _CACHED_TOKENS))


def _count(usage: Json, places: Iterable[tuple[str, ...]]) -> int:
    for place in places:
        value: Any = usage
        for name in place:
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, str) and re.fullmatch(r"\d{1,10}", value):
            value = int(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf"):
            return min(int(value), _MAX_TOKENS)
    return 0
