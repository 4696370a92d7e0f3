"""What an `analyze` asks for is checked before any engine sees it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from google.protobuf import duration_pb2, struct_pb2

from voxmesh.vlm.v1 import vlm_pb2
from voxmesh_runtime.engine import ModelFacts
from voxmesh_runtime.errors import InvalidArgument, Unimplemented
from voxmesh_testing.pictures import ANSWER, READ_TEXT
from voxmesh_vlm.engine import EngineInfo, Task
from voxmesh_vlm.options import analysis_options
from voxmesh_vlm.schemas import checked_schema, fault

pytestmark = pytest.mark.unit

FACTS = ModelFacts("m", "x")
ALL: Any = SimpleNamespace(name="e", info=EngineInfo(FACTS, frozenset(Task), structured_results=True, video=True))
"""The host of an engine that can do everything."""
STILL: Any = SimpleNamespace(name="e", info=EngineInfo(FACTS, frozenset(Task), alternatives=("other",)))


def struct(value: dict[str, Any]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update(value)
    return made


def analyze(task: Any = ANSWER, **fields: Any) -> vlm_pb2.Analyze:
    return vlm_pb2.Analyze(task=task, **fields)


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def test_all_that_is_asked_for_reaches_the_engine() -> None:
    interval = duration_pb2.Duration(nanos=500_000_000)
    asked = analyze(prompt="who?", frame_interval=interval, language_codes=["kn_IN", "en"], max_output_tokens=7)
    options = analysis_options(asked, ALL, 100)
    assert (options.frame_interval_s, options.language_codes, options.max_output_tokens) == (0.5, ("kn-IN", "en"), 7)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (analyze(frame_interval=duration_pb2.Duration()), "analyze.frame_interval"),
        (analyze(frame_interval=duration_pb2.Duration(seconds=-1)), "analyze.frame_interval"),
        (analyze(frame_interval=duration_pb2.Duration(seconds=3601)), "analyze.frame_interval"),
        (analyze(language_codes=["en", "no tag"]), "analyze.language_codes[1]"),
        (analyze(language_codes=["en"] * 17), "analyze.language_codes"),
        (analyze(READ_TEXT, response_schema=struct({})), "analyze.response_schema"),
    ],
)
def test_what_is_outside_its_limits_is_refused_by_name(asked: vlm_pb2.Analyze, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        analysis_options(asked, ALL, 100)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (analyze(frame_interval=duration_pb2.Duration(seconds=1)), "leave frame_interval out; use other"),
        (analyze(response_schema=struct({})), "no structured results; use other"),
    ],
)
def test_what_the_engine_cannot_do_is_refused_with_what_to_do(asked: vlm_pb2.Analyze, told: str) -> None:
    with pytest.raises(Unimplemented, match=told):
        analysis_options(asked, STILL, 100)


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "objekt"}, 'must be "object"'),
        ({"properties": {"a": {"type": "strin"}}}, "is no JSON Schema"),
        ({"required": "name"}, "is no JSON Schema"),
        ({"$ref": "#/$defs/nowhere"}, "is no JSON Schema: Pointer"),
        ({"properties": {"a": {"$ref": "http://127.0.0.1/s.json"}}}, "another document"),
        ({"properties": {"a": {"$ref": "file:///etc/passwd"}}}, "another document"),
        ({"properties": {"a": {"pattern": "("}}}, "is no JSON Schema"),
        ({"type": "array"}, 'must be "object"'),
        ({"type": ["string", "null"]}, 'must be "object"'),
        ({"description": "x" * 100_001}, "at most 100000 characters"),
        ({"description": "<|im_start|>"}, "control token"),
    ],
)
def test_what_is_no_schema_of_an_object_is_refused(schema: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidArgument, match=told):
        checked_schema("analyze.response_schema", struct(schema))


def test_a_schema_is_of_an_object_though_it_does_not_say_so() -> None:
    assert checked_schema("f", struct({"maxProperties": 2})) == {"maxProperties": 2, "type": "object"}
    assert checked_schema("f", struct({"type": ["object", "null"]})) == {"type": "object"}


@pytest.mark.parametrize(
    ("schema", "value", "told"),
    [
        ({"type": "object", "required": ["a"]}, {"a": 1}, ""),
        ({"type": "object", "required": ["a"]}, {}, 'the answer: "a" is a required property'),
        ({"properties": {"a": {"items": {"type": "integer"}}}}, {"a": [1, "secret"]}, "a/1: the value"),
        ({"properties": {"a": {"pattern": "^(a+)+$"}}}, {"a": "a" * 50_000 + "!"}, "a: the value does not match"),
        ({"properties": {"a": {"$ref": "#"}}, "maxProperties": 1}, {"a": {"a": {"b": 1, "c": 2}}}, "a/a: the value"),
        ({"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, {}, ""),
        (deep(12), {"a": {"a": 1}}, "a/a: the value"),
    ],
)
def test_a_value_is_judged_by_its_schema_without_being_quoted(schema: dict[str, Any], value: Any, told: str) -> None:
    found = fault(schema, value)
    assert found.startswith(told)
    assert bool(found) == bool(told)
    assert "secret" not in found
