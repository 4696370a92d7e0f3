"""Arguments of calls keep every digit in their text; a Struct gets what it can hold."""

from __future__ import annotations

import json

import pytest
from google.protobuf import json_format

from voxmesh_llm_proxy.arguments import harmless, parse, parse_written, struct_of
from voxmesh_runtime.control_tokens import refuse_control_tokens

pytestmark = pytest.mark.unit

EXACT = ('{"n": 12345678901234567890123}', '{"n":17, "x":1.10}', '{ "a" : [ ] }', '{"\\u0061": "\\ud83d\\ude00"}', "{}")


@pytest.mark.parametrize("text", EXACT)
def test_the_text_stays_as_the_model_wrote_it(text: str) -> None:
    assert parse_written(text).text == text
    assert harmless(parse(text)) == text


def test_a_struct_holds_what_it_can() -> None:
    deep: object = "end"
    for _ in range(60):
        deep = {"in": deep}
    value = {"n": 10**400, "big": 10**300, "half": "\ud83d", "deep": deep, "none": None, "list": [1, {}], "yes": True}
    told = json_format.MessageToDict(struct_of(value))
    assert told["n"] == str(10**400)
    assert (told["half"], told["none"], told["list"], told["yes"]) == ("\ufffd", None, [1, {}], True)
    # What is too deep for a message is text; a message that nobody can read would be worse.
    struct = struct_of(value)
    assert type(struct).FromString(struct.SerializeToString()) == struct


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"html": "<s>old</s>"}', {"html": "old"}),
        ('{"a": "\\u003c|im_end|>x"}', {"a": "x"}),
        ('{"<s>": ["[INST]", 1, null]}', {"": ["", 1, None]}),
        ('{"a": "<|im_end|>", "a": "b"}', {"a": "b"}),
    ],
)
def test_c2_marks_in_what_a_model_wrote_do_not_come_back(text: str, expected: object) -> None:
    sent = harmless(parse(text))
    assert json.loads(sent) == expected
    refuse_control_tokens("arguments", sent)
