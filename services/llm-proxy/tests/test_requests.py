"""What goes back to an upstream: its own ids and fields, exact arguments, and nothing that a template would obey."""

from __future__ import annotations

import json
from typing import Any

import pytest

from voxmesh.llm.v1 import llm_pb2
from voxmesh_llm_proxy import call_state
from voxmesh_llm_proxy.endpoint import uses_proxies
from voxmesh_llm_proxy.messages import GenerationOptions, request_body, upstream_key
from voxmesh_llm_proxy.validation import check_generate
from voxmesh_runtime.errors import InvalidArgument
from voxmesh_testing.llm import struct, user
from voxmesh_testing.llm_server import chunk, told_by

pytestmark = pytest.mark.unit

Message = llm_pb2.Message
SIGNED: dict[str, Any] = {"extra_content": {"google": {"thought_signature": "c2ln"}}}


def sent(*messages: llm_pb2.Message, upstream: str = "") -> list[dict[str, Any]]:
    """The messages of a request that has passed validation, after one of the user."""
    generate = llm_pb2.Generate(messages=[user("Hi"), *messages])
    check_generate(generate)
    return request_body(generate, GenerationOptions("m", upstream))["messages"][1:]


def asked(*calls: llm_pb2.ToolCall) -> list[llm_pb2.Message]:
    """A message that makes the calls, and the results of the calls."""
    results = [Message(role=Message.ROLE_TOOL, text=call.name, tool_call_id=call.call_id) for call in calls]
    return [Message(role=Message.ROLE_ASSISTANT, tool_calls=calls), *results]


def written(*calls: dict[str, Any]) -> list[llm_pb2.ToolCall]:
    """Calls as the proxy gives them for what an upstream wrote."""
    return told_by(chunk({"tool_calls": list(calls)}, "tool_calls"), tools=["a", "b"]).calls


def call(name: str, arguments: str = "{}", **fields: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": arguments}, **fields}


@pytest.mark.parametrize("call_id", ["f" * 900, "call 1", "ಕರೆ", "get_weather:0"])
def test_l2_the_upstream_sees_its_own_ids_again(call_id: str) -> None:
    assistant, result = sent(*asked(*written(call("a", index=0, id=call_id))))
    assert (assistant["tool_calls"][0]["id"], result["tool_call_id"]) == (call_id, call_id)


def test_l2_two_calls_of_one_id_stay_two() -> None:
    assistant, first, second = sent(*asked(*written(call("a", index=0, id="x"), call("b", index=1, id="x"))))
    ids = [found["id"] for found in assistant["tool_calls"]]
    assert ids[0] == "x" != ids[1]
    assert [first["tool_call_id"], second["tool_call_id"]] == ids


def test_l2_an_id_that_comes_again_in_a_later_message_is_that_messages() -> None:
    rounds = [*asked(*written(call("a", id="x:0"))), user("And?"), *asked(*written(call("b", id="x:0")))]
    assert [found.get("tool_call_id") for found in sent(*rounds)] == [None, "x:0", None, None, "x:0"]


def test_l3_unknown_fields_of_a_call_go_back_unchanged() -> None:
    wrote = {"index": 0, "id": "x", **SIGNED, "function": {"name": "a", "arguments": '{"n":17}', "kind": [1]}}
    assistant, _ = sent(*asked(*written(wrote)))
    function = {"name": "a", "arguments": '{"n":17}', "kind": [1]}
    assert assistant["tool_calls"] == [{"id": "x", "type": "function", **SIGNED, "function": function}]


def test_l3_another_upstream_sees_none_of_it() -> None:
    (made,) = written(call("a", index=0, id="x", **SIGNED))
    assistant, result = sent(*asked(made), upstream="other")
    function = {"name": "a", "arguments": "{}"}
    assert assistant["tool_calls"] == [{"id": made.call_id, "type": "function", "function": function}]
    assert result["tool_call_id"] == made.call_id


def test_upstreams_are_told_apart_by_address_and_model() -> None:
    keys = {upstream_key(url, model) for url in (None, "http://a/v1", "http://b/v1") for model in ("big", "small")}
    assert len(keys) == 6


@pytest.mark.parametrize("text", ['{"n": 12345678901234567890123}', '{ "n":17, "x":1.10 }', '{"a": "\\u0061"}'])
def test_exact_arguments_win_and_go_back_as_they_came(text: str) -> None:
    made = llm_pb2.ToolCall(call_id="c", name="a", arguments=struct(n=1), arguments_json=text)
    assert sent(*asked(made))[0]["tool_calls"][0]["function"]["arguments"] == text


@pytest.mark.parametrize("text", ["[]", "1", "{", '{"n": NaN}', "{} {}", '{"a":' * 101 + "1" + "}" * 101, "[" * 9999])
def test_arguments_that_are_no_object_are_refused_by_field(text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        sent(*asked(llm_pb2.ToolCall(call_id="c", name="a", arguments_json=text)))
    assert caught.value.field == "generate.messages[1].tool_calls[0].arguments_json"


@pytest.mark.parametrize(
    "state", [b"x", b"\x01[]", b"\x02{}", b"\x00" * 100_000], ids=["odd", "a list", "of a later version", "long"]
)
def test_l3_a_state_that_another_service_gave_is_left_alone(state: bytes) -> None:
    made = llm_pb2.ToolCall(call_id="c", name="a", arguments_json="{}", upstream_state=state)
    function = {"name": "a", "arguments": "{}"}
    assert sent(*asked(made))[0]["tool_calls"] == [{"id": "c", "type": "function", "function": function}]


def test_l3_a_state_cannot_write_the_contracts_fields() -> None:
    for fields in ({"id": "x"}, {"type": "x"}, {"function": {}}):
        assert call_state.decode(call_state.encode(call_state.CallState("", "", fields))).of_call == {}


def test_c2_marks_in_what_the_model_wrote_are_cleaned_and_in_other_text_refused() -> None:
    wrote = Message(role=Message.ROLE_ASSISTANT, text="Write <s>old</s>.<|im_end|>")
    assert sent(wrote, user("And?"))[0]["content"] == "Write old."
    with pytest.raises(InvalidArgument, match="control token"):
        sent(user("<|im_end|>"))
    (made,) = written(call("a", json.dumps({"html": "<s>old</s>"})))
    assert sent(*asked(made))[0]["tool_calls"][0]["function"]["arguments"] == '{"html": "old"}'


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (None, False),
        ("http://127.0.0.1:8000/v1", False),
        ("http://127.8.8.8/v1", False),
        ("http://[::1]:8000/v1", False),
        ("http://localhost:8000/v1", False),
        ("http://LLM.localhost/v1", False),
        ("http://10.0.0.7:8000/v1", True),
        ("http://localhost.example.com/v1", True),
        ("https://example.com/v1", True),
    ],
)
def test_c8_what_is_on_loopback_is_never_asked_through_a_proxy(url: str | None, *, expected: bool) -> None:
    assert uses_proxies(url) is expected
