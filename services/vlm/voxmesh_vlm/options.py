"""Check what an `analyze` asks for against the contract and the model, before the engine sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from voxmesh.vlm.v1 import vlm_pb2
from voxmesh_runtime.clock import seconds_of
from voxmesh_runtime.control_tokens import refuse_control_tokens
from voxmesh_runtime.errors import InvalidArgument, Unimplemented
from voxmesh_runtime.language_tags import checked
from voxmesh_runtime.refusals import check_count, check_range
from voxmesh_vlm.engine import Host, Task
from voxmesh_vlm.schemas import checked_schema
from voxmesh_vlm.scripts import require_scripts

MAX_PROMPT_CHARACTERS = 32_000
MAX_OUTPUT_TOKENS = 1_000_000
MAX_LANGUAGES = 16
MIN_FRAME_INTERVAL_S = 0.001
MAX_FRAME_INTERVAL_S = 3600.0

TASKS = {vlm_pb2.Analyze.TASK_READ_TEXT: Task.READ_TEXT, vlm_pb2.Analyze.TASK_ANSWER: Task.ANSWER}
"""The contract's tasks."""


@dataclass(frozen=True, slots=True)
class AnalysisOptions:
    """What one `analyze` asks for."""

    task: Task
    prompt: str
    response_schema: dict[str, Any] | None = None
    max_output_tokens: int = 1024
    frame_interval_s: float | None = None
    language_codes: tuple[str, ...] = ()


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
    has_schema = analyze.HasField("response_schema")
    schema = checked_schema("analyze.response_schema", analyze.response_schema) if has_schema else None
    interval_s = seconds_of(analyze.frame_interval) if analyze.HasField("frame_interval") else None
    if interval_s is not None:
        check_range("analyze.frame_interval", interval_s, MIN_FRAME_INTERVAL_S, MAX_FRAME_INTERVAL_S, "s")
    languages = _languages(analyze.language_codes)
    _require(host, task, wants_schema=schema is not None, wants_video=interval_s is not None)
    if schema is not None and task is Task.READ_TEXT:
        raise InvalidArgument("analyze.response_schema", "is for TASK_ANSWER only; leave it out")
    if task is Task.READ_TEXT:
        require_scripts(host.info, languages)
    return AnalysisOptions(task, analyze.prompt, schema, tokens, interval_s, languages)


def _check_prompt(prompt: str, task: Task) -> None:
    field = "analyze.prompt"
    check_count(field, len(prompt), MAX_PROMPT_CHARACTERS)
    if "\x00" in prompt:
        raise InvalidArgument(field, "must not hold NUL characters")
    refuse_control_tokens(field, prompt)
    if prompt and task is Task.READ_TEXT:
        raise InvalidArgument(field, "is for TASK_ANSWER only; leave it out")


def _languages(codes: Sequence[str]) -> tuple[str, ...]:
    field = "analyze.language_codes"
    check_count(field, len(codes), MAX_LANGUAGES, unit="languages")
    return tuple(checked(f"{field}[{index}]", code) for index, code in enumerate(codes))


def _require(host: Host, task: Task, *, wants_schema: bool, wants_video: bool) -> None:
    engine, info = host.name, host.info
    advice = f"; use {' or '.join(info.alternatives)}" if info.alternatives else ""
    if task not in info.tasks:
        feature = f"TASK_{task.name}"
        raise Unimplemented(feature, f"the engine {engine} cannot do {feature}{advice}", info.alternatives)
    if wants_schema and not info.structured_results:
        message = f"the engine {engine} gives no structured results{advice}"
        raise Unimplemented("response_schema", message, info.alternatives)
    if wants_video and not info.video:
        message = f"the engine {engine} takes no pictures for frames of a video; leave frame_interval out{advice}"
        raise Unimplemented("frame_interval", message, info.alternatives)
