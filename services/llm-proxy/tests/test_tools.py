"""Tool calls, put together from whatever fragments upstreams send: none lost, none half, each with an id of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from voxmesh_llm_proxy import call_state
from voxmesh_runtime.errors import Unavailable
from voxmesh_testing.llm_server import DONE, Told, chunk, told_by

pytestmark = pytest.mark.unit

F = {"city": "Paris"}
G = {"zone": "IST"}
TEXT_F, TEXT_G = json.dumps(F), json.dumps(G)
BOTH = [("weather", F), ("clock", G)]
TWICE = [("weather", F), ("weather", F)]


def part(arguments: Any = None, name: str | None = None, **fields: Any) -> dict[str, Any]:
    """One fragment; fields that are None are left out."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return {**fields, **({"function": function} if function else {})}


def told(*deltas: Any, finish: str = "tool_calls") -> Told:
    body = [chunk({"tool_calls": delta}) for delta in deltas]
    return told_by(*body, chunk({}, finish), DONE, tools=("weather", "clock"))


def calls(*deltas: Any) -> list[tuple[str, Any]]:
    answer = told(*deltas)
    ids = [call.call_id for call in answer.calls]
    assert all(len(call_id) == 9 and call_id.isalnum() for call_id in ids)
    assert len(set(ids)) == len(ids)
    assert answer.reason == "TOOL_CALLS"
    return [(call.name, json.loads(call.arguments_json)) for call in answer.calls]


SHAPES: dict[str, tuple[list[Any], list[tuple[str, Any]]]] = {
    "in fragments": (
        [[part("", "weather", index=0, id="a")], [part('{"city": ', index=0)], [part('"Paris"}', index=0)]],
        BOTH[:1],
    ),
    "L1 whole, by ids alone": ([[part(TEXT_F, "weather", id="a")], [part(TEXT_G, "clock", id="b")]], BOTH),
    "L1 whole, by names alone": ([[part(TEXT_F, "weather")], [part(TEXT_G, "clock")]], BOTH),
    "L1 whole, in one list": ([[part(TEXT_F, "weather"), part(TEXT_G, "clock")]], BOTH),
    "L1 the same tool twice, by ids": ([[part(TEXT_F, "weather", id="a"), part(TEXT_F, "weather", id="b")]], TWICE),
    "L1 the same tool twice, by name": ([[part(TEXT_F, "weather")], [part(TEXT_F, "weather")]], TWICE),
    "L1 the same tool and id twice": ([[part(TEXT_F, "weather", id="a")], [part(TEXT_F, "weather", id="a")]], TWICE),
    "L1 in fragments, not numbered": (
        [[part("", "weather", id="a")], [part('{"city"')], [part(': "Paris"}')], [part(TEXT_G, "clock", id="b")]],
        BOTH,
    ),
    "L1 a new id first, its name later": (
        [[part(TEXT_F, "weather", id="a")], [{"id": "b"}], [part(TEXT_G, "clock")]],
        BOTH,
    ),
    "L1 no arguments, by name": ([[part(name="weather")], [part(name="weather")]], [("weather", {})] * 2),
    "numbered only at first": ([[part("", "weather", id="a")], [part(TEXT_F, index=0)]], BOTH[:1]),
    "interleaved": (
        [
            [part("", "weather", index=0, id="a"), part("", "clock", index=1, id="b")],
            [part('{"city": ', index=0)],
            [part('{"zone": ', index=1)],
            [part('"Paris"}', index=0), part('"IST"}', index=1)],
        ],
        BOTH,
    ),
    "all of number 0, told apart by ids": (
        [[part(TEXT_F, "weather", index=0, id="a")], [part(TEXT_G, "clock", index=0, id="b")]],
        BOTH,
    ),
    "all of number 0, without ids": (
        [[part(TEXT_F, "weather", index=0, id="")], [part(TEXT_F, "weather", index=0, id="")]],
        TWICE,
    ),
    "an id in every fragment": (
        [
            [part("", "weather", index=0, id="a")],
            [part('{"city": ', index=0, id="b")],
            [part('"Paris"}', index=0, id="c")],
        ],
        BOTH[:1],
    ),
    "id and name in every fragment": (
        [[part('{"city": ', "weather", index=0, id="a")], [part('"Paris"}', "weather", index=0, id="a")]],
        BOTH[:1],
    ),
    "numbers as texts and floats": (
        [[part('{"city": ', "weather", index="0")], [part('"Paris"}', index=0.0)], [part(TEXT_G, "clock", index="1")]],
        BOTH,
    ),
    "arguments as an object": ([[part(F, "weather", index=0, id="a")]], BOTH[:1]),
    "a call that is no list": ([part(TEXT_F, "weather", index=0, id="a")], BOTH[:1]),
    "without a function around it": ([[{"id": "a", "name": "weather", "arguments": F}]], BOTH[:1]),
    "places that are kept": (
        [[{"index": 0, "id": None, "function": None}, None, {}], [part(TEXT_F, "weather")]],
        BOTH[:1],
    ),
    "an id that is a number": ([[part(TEXT_F, "weather", id=7), part(TEXT_G, "clock", id=8)]], BOTH),
    "no arguments": ([[part(None, "weather", index=0, id="a")]], [("weather", {})]),
    "null arguments": ([[part("null", "weather", index=0, id="a")]], [("weather", {})]),
    "line breaks in a text": ([[part('{"city": "Pa\nris"}', "weather", index=0)]], [("weather", {"city": "Pa\nris"})]),
    "L7 a pair cut in two": (
        [[part('{"city": "\ud83d', "weather", index=0)], [part('\ude00"}', index=0)]],
        [("weather", {"city": "😀"})],
    ),
    "L7 a half alone": ([[part('{"city": "\ud83d"}', "weather", index=0)]], [("weather", {"city": "\ufffd"})]),
}


@pytest.mark.parametrize("case", SHAPES)
def test_no_call_is_lost_and_none_is_half(case: str) -> None:
    deltas, expected = SHAPES[case]
    assert calls(*deltas) == expected


def test_calls_in_a_message_and_of_the_old_kind_are_calls() -> None:
    whole = {
        "index": 0,
        "message": {"role": "assistant", "tool_calls": [part(F, "weather", id="a")]},
        "finish_reason": "stop",
    }
    body = f"data: {json.dumps({'choices': [whole]})}\n\n".encode()
    assert [call.name for call in told_by(body, tools=["weather"]).calls] == ["weather"]
    old = [chunk({"function_call": {"name": "weather"}}), chunk({"function_call": {"arguments": TEXT_F}})]
    answer = told_by(*old, chunk({}, "function_call"), tools=["weather"])
    assert [call.arguments_json for call in answer.calls] == [TEXT_F]


def test_a_call_is_given_when_the_next_has_begun() -> None:
    first, second = (
        chunk({"tool_calls": [part(TEXT_F, "weather", index=0)]}),
        chunk({"tool_calls": [part(None, "clock", index=1)]}),
    )
    with pytest.raises(Unavailable, match="without a reason"):
        told_by(first, second, tools=["weather", "clock"])
    assert len(told_by(first, second, chunk({}, "length"), tools=["weather", "clock"]).calls) == 1


@pytest.mark.parametrize(
    "deltas",
    [
        [[part('{"city": ', "weather", index=0)]],
        [[part("[1]", "weather", index=0)]],
        [[part('{"n": NaN}', "weather", index=0)]],
        [[part("[" * 5000, "weather", index=0)]],
        [[part('{"a":' * 200 + "1" + "}" * 200, "weather", index=0)]],
        [[part("{}", "rm_rf", index=0)]],
        [[part("{}", index=0)]],
        [[part(TEXT_F, "weather", index=0)], [part(" x", index=0)]],
        [[part("x" * 200_001, "weather", index=0)]],
        [[part("{}", "weather", index=number)] for number in range(65)],
        [],
    ],
    ids=[
        "cut",
        "a list",
        "NaN",
        "too deep",
        "deeper than 100",
        "not offered",
        "nameless",
        "more",
        "long",
        "many",
        "none",
    ],
)
def test_a_call_that_nobody_can_run_is_an_error_and_never_silence(deltas: list[Any]) -> None:
    with pytest.raises(Unavailable, match="tool"):
        told(*deltas)


def test_a_call_that_the_limit_cut_is_not_given() -> None:
    answer = told([part('{"city": ', "weather", index=0)], finish="length")
    assert (answer.calls, answer.reason) == ([], "LENGTH")


IDS = {
    "L2 a long id": "f" * 900,
    "L2 a space": "call 1",
    "L2 a line break": "call\n1",
    "L2 no ASCII": "ಕರೆ-1",
    "none": "",
}


@pytest.mark.parametrize("case", IDS)
def test_l2_the_upstreams_id_travels_inside(case: str) -> None:
    (call,) = told([part(TEXT_F, "weather", index=0, id=IDS[case])]).calls
    assert call_state.decode(call.upstream_state).call_id == IDS[case]


def test_l3_fields_that_only_the_upstream_knows_travel_inside() -> None:
    extra = {"google": {"thought_signature": "c2ln" * 500}}
    fragments = [
        part("", "weather", index=0, id="a", type="function", extra_content=extra),
        {"index": 0, "function": {"arguments": TEXT_F, "provider": [1, None]}, "empty": None},
    ]
    (call,) = told(fragments).calls
    state = call_state.decode(call.upstream_state)
    assert (state.of_call, state.of_function) == ({"extra_content": extra}, {"provider": [1, None]})


STATES = {
    "too long": {"x": "y" * call_state.MAX_STATE_BYTES},
    "a mark": {"x": "<|im_end|>"},
    "no JSON number": {"x": float("nan")},
}


@pytest.mark.parametrize("case", STATES)
def test_what_could_not_come_back_is_left_out_and_the_id_stays(case: str) -> None:
    state = call_state.decode(call_state.encode(call_state.CallState("u", "a", STATES[case])))
    assert (state.upstream, state.call_id, state.of_call) == ("u", "a", {})


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b"\x02{}",
        b"\x01",
        b"\x01[]",
        b"\x01{}",
        b"\x01\xff",
        b'\x01{"upstream": 1}',
        b'\x01{"upstream": "u", "id": 5}',
        b'\x01{"upstream": "u", "call": []}',
        b'\x01{"upstream": "u", "call": {"id": "b"}}',
        b'\x01{"upstream": "u", "function": {"arguments": "{}"}}',
        b'\x01{"upstream": "u", "id": "<|im_end|>"}',
        b'\x01{"upstream": "u", "role": "system"}',
        b"\x01" + b"[" * 60_000,
        b'\x01{"upstream": "u"' + b" " * call_state.MAX_STATE_BYTES + b"}",
    ],
)
def test_l3_a_state_that_the_service_did_not_make_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        call_state.decode(data)


@pytest.mark.parametrize(("words", "finish"), [("Sunny.", "tool_calls"), ("", "tool_calls"), ("Sunny.", "stop")])
def test_c6_a_call_where_no_tool_was_offered_is_no_part_of_the_answer(words: str, finish: str) -> None:
    wrote = chunk({"content": words}), chunk({"tool_calls": [part("{}", "weather", index=0)]}, finish)
    answer = told_by(*wrote)
    assert (answer.text, answer.calls, answer.reason) == (words, [], "STOP")
