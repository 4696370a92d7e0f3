"""Check what an `analyze` asks for against the contract and the model, before the engine sees it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format, struct_pb2

from voxmesh.vlm.v1 import vlm_pb2
from voxmesh_runtime.control_tokens import refuse_control_tokens
from voxmesh_runtime.errors import InvalidArgument, Unimplemented
from voxmesh_runtime.refusals import check_count, check_range
from voxmesh_vlm.engine import Host, Task

MAX_PROMPT_CHARACTERS = 32_000
MAX_SCHEMA_CHARACTERS = 100_000
MAX_OUTPUT_TOKENS = 1_000_000

TASKS = {vlm_pb2.Analyze.TASK_READ_TEXT: Task.READ_TEXT, vlm_pb2.Analyze.TASK_ANSWER: Task.ANSWER}
"""The contract's tasks."""


@dataclass(frozen=True, slots=True)
class AnalysisOptions:
    """What one `analyze` asks for."""

    task: Task
    prompt: str
    response_schema: dict[str, Any] | None
    max_output_tokens: int


def analysis_options(analyze: vlm_pb2.Analyze, host: Host, default_tokens: int) -> AnalysisOptions:
    """The options of an `analyze`.

    Raises:
        InvalidArgument: a field is outside its limits.
        Unimplemented: the engine cannot do it; the details name engines that can.
    """
    task = TASKS.get(analyze.task)
    if task is None:
        raise InvalidArgument("analyze.task", f"{analyze.task} is unknown; set TASK_READ_TEXT or TASK_ANSWER")
    _check_prompt(analyze.prompt, task)
    tokens = analyze.max_output_tokens if analyze.HasField("max_output_tokens") else default_tokens
    check_range("analyze.max_output_tokens", tokens, 1, MAX_OUTPUT_TOKENS)
    schema = _schema(analyze.response_schema) if analyze.HasField("response_schema") else None
    _require(host, task, wants_schema=schema is not None)
    return AnalysisOptions(task, analyze.prompt, schema, tokens)


def _check_prompt(prompt: str, task: Task) -> None:
    field = "analyze.prompt"
    check_count(field, len(prompt), MAX_PROMPT_CHARACTERS)
    if "\x00" in prompt:
        raise InvalidArgument(field, "must not hold NUL characters")
    refuse_control_tokens(field, prompt)
    if prompt and task is Task.READ_TEXT:
        raise InvalidArgument(field, "is for TASK_ANSWER only; leave it out")


def _schema(schema: struct_pb2.Struct) -> dict[str, Any]:
    field = "analyze.response_schema"
    try:
        value = json_format.MessageToDict(schema)
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (json_format.SerializeToJsonError, ValueError, RecursionError):
        raise InvalidArgument(field, "holds a number or a depth that JSON has not") from None
    check_count(field, len(text), MAX_SCHEMA_CHARACTERS)
    refuse_control_tokens(field, text)
    return value


def _require(host: Host, task: Task, *, wants_schema: bool) -> None:
    engine, info = host.name, host.info
    advice = f"; use {' or '.join(info.alternatives)}" if info.alternatives else ""
    if task not in info.tasks:
        feature = f"TASK_{task.name}"
        raise Unimplemented(feature, f"the engine {engine} cannot do {feature}{advice}", info.alternatives)
    if wants_schema and not info.structured_results:
        message = f"the engine {engine} gives no structured results{advice}"
        raise Unimplemented("response_schema", message, info.alternatives)
