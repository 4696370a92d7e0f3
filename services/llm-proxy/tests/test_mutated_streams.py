"""Streams of every making, and broken ones: no word twice, no call lost or half, and always an end.

Streams that differ only in form must say the same. Streams that are broken at some places must still say nothing
wrong: what they give is whole, and otherwise a typed error says so.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmesh_runtime.errors import VoxmeshError
from voxmesh_testing.llm_server import DONE, Told, told_by

pytestmark = pytest.mark.server

EXAMPLES = 250
"""Of each of the two properties."""

TOOLS = ("weather", "clock")
Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass
class Script:
    """A stream as events, and what it says."""

    text: str = ""
    thoughts: str = ""
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)
    makers: list[int | None] = field(default_factory=list)
    """The call that each event is of."""
    reason: str = "STOP"

    def add(self, delta: Any, finish: str | None = None, maker: int | None = None) -> None:
        self.events.append({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], "model": "m"})
        self.makers.append(maker)


def pieces(draw: Draw, text: str) -> list[str]:
    """A text, cut anywhere; characters that JSON escapes as two halves may be cut between them."""
    units = text.encode("utf-16-le")
    halves = [units[start : start + 2].decode("utf-16-le", "surrogatepass") for start in range(0, len(units), 2)]
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(halves) - 1)), max_size=4)))
    places = [0, *(cut for cut in cuts if cut < len(halves)), len(halves)]
    return ["".join(halves[start:end]) for start, end in pairwise(places)]


def call_fragments(draw: Draw, number: int, name: str, arguments: str, *, is_numbered: bool, ids: str) -> list[Any]:
    """The fragments of one call."""
    cut = pieces(draw, arguments)
    if draw(st.booleans()):
        cut.insert(0, "")
    is_repeated = is_numbered and draw(st.booleans())
    fragments: list[Any] = []
    for place, piece in enumerate(cut):
        fragment: dict[str, Any] = {"index": number} if is_numbered else {}
        function: dict[str, Any] = {"arguments": piece}
        if place == 0 or is_repeated:
            function["name"] = name
            fragment |= {
                "type": "function",
                **({} if ids == "none" else {"id": "x" if ids == "same" else f"x{number}"}),
            }
        fragments.append({**fragment, "function": function})
    return fragments


@st.composite
def scripts(draw: Draw, *, may_interleave: bool) -> Script:
    """A whole stream."""
    script = Script()
    script.text = "".join(f"w{number}; " for number in range(draw(st.integers(0, 4)))) + draw(
        st.sampled_from(["", "😀", "ಕ"])
    )
    script.thoughts = draw(st.sampled_from(["", "hm😀", "so <s>"]))
    for piece in pieces(draw, script.thoughts) if script.thoughts else []:
        script.add({draw(st.sampled_from(["reasoning", "reasoning_content"])): piece})
    for piece in pieces(draw, script.text + draw(st.sampled_from(["", "<|im_end|>"]))):
        script.add({"content": piece})
    is_numbered = draw(st.booleans())
    ids = draw(st.sampled_from(["own", "none", "same"] if is_numbered else ["own", "none"]))
    made: list[list[Any]] = []
    for number in range(draw(st.integers(0, 3))):
        call = (draw(st.sampled_from(TOOLS)), {"n": number, "s": draw(st.sampled_from(["", "😀}", '{"', "\n\x07"]))})
        script.calls.append(call)
        text = json.dumps(call[1], ensure_ascii=draw(st.booleans()))
        made.append(call_fragments(draw, number, call[0], text, is_numbered=is_numbered, ids=ids))
    is_interleaved = may_interleave and is_numbered and draw(st.booleans())
    while any(made):
        turn = draw(st.sampled_from([n for n, left in enumerate(made) if left])) if is_interleaved else _first(made)
        script.add({"tool_calls": [made[turn].pop(0)]}, maker=turn)
    finish = draw(st.sampled_from(["stop", "tool_calls"] if script.calls else ["stop", "eos"]))
    script.reason = "TOOL_CALLS" if script.calls else "STOP"
    script.add({}, finish)
    return script


def _first(made: list[list[Any]]) -> int:
    return next(number for number, left in enumerate(made) if left)


def rewritten(draw: Draw, event: Any) -> Any:
    """An event in another form that says the same."""
    event = copy.deepcopy(event)
    choice = event["choices"][0]
    delta = choice["delta"]
    for form in draw(st.sets(st.sampled_from(FORMS), max_size=3)):
        form(event, choice, delta)
    return [event] if draw(st.integers(0, 9)) == 0 else event


def _nulls(event: Any, choice: Any, delta: Any) -> None:
    event |= {"usage": None, "error": None}
    choice["logprobs"] = None
    for name in ("content", "tool_calls", "refusal", "reasoning", "function_call"):
        delta.setdefault(name, None)


def _parts(_event: Any, _choice: Any, delta: Any) -> None:
    if isinstance(delta.get("content"), str):
        delta["content"] = [{"type": "text", "text": delta["content"]}, {"type": "image_url"}, None]


def _other_choices(event: Any, choice: Any, _delta: Any) -> None:
    event["choices"] = [None, {"index": 1, "delta": {"content": "no"}}, choice]


def _one_choice(event: Any, choice: Any, _delta: Any) -> None:
    event["choices"] = choice


def _one_call(_event: Any, _choice: Any, delta: Any) -> None:
    if isinstance(delta.get("tool_calls"), list):
        delta["tool_calls"] = delta["tool_calls"][0]


def _numbers(_event: Any, choice: Any, delta: Any) -> None:
    choice["index"] = "0"
    for call in _calls(delta):
        if "index" in call:
            call["index"] = float(call["index"]) if call["index"] else "0"


def _odd_fields(event: Any, choice: Any, delta: Any) -> None:
    event |= {"x": [{"y": "\x00"}], "usage": {"prompt_tokens": "7", "completion_tokens": []}}
    choice["content_filter_results"] = {}
    delta["role"] = ["assistant"]
    for call in _calls(delta):
        call["extra_content"] = {"google": {"thought_signature": "\ud83d"}}


def _nameless(_event: Any, _choice: Any, delta: Any) -> None:
    for call in _calls(delta):
        call["function"].setdefault("name", None)
        call.setdefault("id", None)


def _calls(delta: Any) -> list[Any]:
    calls = delta.get("tool_calls") or []
    return [calls] if isinstance(calls, dict) else calls


FORMS = (_nulls, _parts, _other_choices, _one_choice, _one_call, _numbers, _odd_fields, _nameless)
NOISE = (
    b": ping\n\n",
    b"event: ping\n\n",
    b"data:\n\n",
    b"data: null\n\n",
    b"data: ping\n\n",
    b"id: 1\n\n",
    b'data: {"choices": []}\n\n',
)


def encoded(draw: Draw, events: list[Any]) -> bytes:
    """The bytes of a stream that begins with a byte order mark, has noise in it, or other line ends."""
    body = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    for event in events:
        text = json.dumps(event, ensure_ascii=True)
        body += f"data: {text}\n\n".encode()
        body += draw(st.sampled_from([b"", b"", *NOISE]))
    return body.replace(b"\n", draw(st.sampled_from([b"\n", b"\r\n", b"\r"])))


def read(draw: Draw, body: bytes) -> Told:
    """What the stream says when its bytes come cut anywhere."""
    cuts = sorted(draw(st.sets(st.integers(0, len(body)), max_size=6)))
    cut = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    return told_by(*cut, tools=TOOLS)


def checked(told: Told) -> list[Any]:
    """The arguments of all calls, each of which is whole."""
    assert len({call.call_id for call in told.calls}) == len(told.calls)
    assert all(call.name in TOOLS and 1 <= len(call.call_id) <= 128 for call in told.calls)
    assert all(call.upstream_state for call in told.calls)
    arguments = [json.loads(call.arguments_json) for call in told.calls]
    assert all(isinstance(value, dict) for value in arguments)
    return arguments


def test_streams_that_differ_in_form_say_the_same() -> None:
    count = 0

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
    @given(scripts(may_interleave=True), st.data())
    def holds(script: Script, data: st.DataObject) -> None:
        nonlocal count
        count += 1
        events = [rewritten(data.draw, event) for event in script.events]
        ending = data.draw(st.sampled_from(["both", "no done", "no reason"]))
        if ending == "no reason":
            events.pop()
        told = read(data.draw, encoded(data.draw, events) + (b"" if ending == "no done" else DONE))
        assert (told.text, told.thoughts, told.reason) == (script.text, script.thoughts, script.reason)
        found = [(call.name, value) for call, value in zip(told.calls, checked(told), strict=True)]
        # They come in the order in which they began.
        assert sorted(found, key=lambda call: call[1]["n"]) == script.calls

    holds()
    assert count >= EXAMPLES


ODD_VALUES = (
    *(
        None,
        True,
        -1,
        0,
        1,
        7,
        1.5,
        1e300,
        2**70,
        "",
        " ",
        "x",
        "weather",
        "stop",
        "length",
        "error",
        "null",
        "\x00\x1b",
        "\ud83d",
        "\ude00",
    ),
    *(
        [],
        {},
        [[]],
        [None, {}],
        {"a": {"b": []}},
        "<|im_end|>",
        "</think>",
        "[DONE]",
        "x" * 1000,
        '{"a":',
        "}",
        {"type": "thinking"},
    ),
)
ODD_KEYS = (
    "message",
    "delta",
    "text",
    "content",
    "error",
    "id",
    "index",
    "name",
    "arguments",
    "function",
    "choices",
    "detail",
)


def broken(draw: Draw, event: Any) -> Any:
    """An event with one place changed, left out or called otherwise."""
    event = copy.deepcopy(event)
    places = list(_places(event))
    parent, key = draw(st.sampled_from(places))
    how = draw(st.sampled_from(["change", "leave out", "rename", "wrap"]))
    if how == "leave out":
        del parent[key]
    elif how == "rename" and isinstance(parent, dict):
        parent[draw(st.sampled_from(ODD_KEYS))] = parent.pop(key)
    elif how == "wrap":
        parent[key] = [parent[key]]
    else:
        parent[key] = draw(st.sampled_from(ODD_VALUES))
    return event


def _places(value: Any) -> Any:
    if isinstance(value, dict | list):
        keys = list(value) if isinstance(value, dict) else range(len(value))
        for key in keys:
            yield value, key
            yield from _places(value[key])


def test_broken_streams_say_nothing_twice_nothing_half_and_end() -> None:
    count = failures = 0

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
    @given(scripts(may_interleave=False), st.data())
    def holds(script: Script, data: st.DataObject) -> None:
        nonlocal count, failures
        count += 1
        hit = data.draw(st.sets(st.integers(0, len(script.events) - 1), max_size=2))
        touched = {script.makers[place] for place in hit}
        events = [broken(data.draw, event) if place in hit else event for place, event in enumerate(script.events)]
        body = encoded(data.draw, events) + DONE
        if data.draw(st.integers(0, 4)) == 0:
            body = body[: data.draw(st.integers(0, len(body)))]
        try:
            told = read(data.draw, body)
        except VoxmeshError:
            failures += 1
            return
        assert all(told.text.count(f"w{number};") <= 1 for number in range(10))
        assert "<|im_end|>" not in told.text
        arguments = checked(told)
        whole = [value for number, (_, value) in enumerate(script.calls) if number not in touched]
        if told.reason not in {"LENGTH", "CONTENT_FILTER"}:
            assert [value for value in arguments if value in whole] == whole

    holds()
    assert count >= EXAMPLES
    # Both ends of the property are tried.
    assert 0 < failures < count
