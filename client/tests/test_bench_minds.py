"""What `voxmesh bench llm` measures, what it takes for right, and what its report says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from voxmesh_client.bench.asked import LlmAsked
from voxmesh_client.bench.gate_file import read_gates
from voxmesh_client.bench.machine import Machine, load
from voxmesh_client.bench.minds.asking import Answer
from voxmesh_client.bench.minds.command import measurable
from voxmesh_client.bench.minds.evaluation import Manner, TaskAnswer, task_config
from voxmesh_client.bench.minds.passes import Pass, Round, figures
from voxmesh_client.bench.minds.report import llm_report
from voxmesh_client.bench.minds.runner import LlmOutcome, Plan, Run, metrics
from voxmesh_client.bench.minds.scoring import score
from voxmesh_client.bench.minds.task_file import Task, read_tasks
from voxmesh_client.bench.minds.upstreams import DEFAULT, AtUrl, OwnModel
from voxmesh_client.bench.problems import BenchUsage
from voxmesh_client.bench.server import Limits
from voxmesh_client.bench.targets import Running
from voxmesh_client.bench.verdicts import Verdict, judge

pytestmark = pytest.mark.unit

OFF, ON = Manner(thinking=False, thoughts=100, timeout_s=1.0), Manner(thinking=True, thoughts=100, timeout_s=1.0)


def task(**fields: Any) -> Task:
    values: dict[str, Any] = {"task": "t", "prompt": "p", **fields}
    return Task(**values)


def test_the_eight_tasks_of_the_seed_have_two_questions_each() -> None:
    tasks = read_tasks("seed")
    assert tasks.names == [
        *("sensitivity", "briefing", "nudge", "email triage", "email draft", "chat", "contradiction", "entities"),
    ]
    assert all(sum(each.task == name for each in tasks.tasks) == 2 for name in tasks.names)


FACTS = {"facts": (("ten", "10"), ("office",))}
DATA = {"schema": '{"type": "object"}', "fields": {"a.b": ("True",), "c": ("x y",)}}


@pytest.mark.parametrize(
    ("asked", "text", "expected"),
    [
        (FACTS, "At 10, in the office.", 10.0),
        (FACTS, "At ten.", 5.0),
        (FACTS, "", 0.0),
        ({**FACTS, "forbidden": ("lazy",)}, "At ten in the office, lazy one.", 5.0),
        ({**FACTS, "most_words": 3}, "At ten in the office.", 5.0),
        ({**FACTS, "most_words": 3}, "Ten, office.", 10.0),
        (DATA, '{"a": {"b": true}, "c": "X, y"}', 10.0),
        (DATA, '```json\n{"a": {"b": false}, "c": "x y"}\n```', 5.0),
        (DATA, "I do not know.", 0.0),
    ],
)
def test_an_answer_is_worth_what_it_holds_of_a_right_one(asked: dict[str, Any], text: str, expected: float) -> None:
    assert score(task(**asked), text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [({}, "either fields or facts"), ({"fields": {"a": ("1",)}}, "belong together"), ({"x": 1}, "Extra inputs")],
)
def test_tasks_that_are_wrong_are_told(fields: dict[str, Any], problem: str, tmp_path: Path) -> None:

    path = tmp_path / "tasks.json"
    path.write_text(json.dumps({"tasks": [{"task": "t", "prompt": "p", **fields}]}))
    with pytest.raises(BenchUsage, match=problem):
        read_tasks(str(path))


def test_thoughts_have_tokens_of_their_own_and_data_has_its_schema() -> None:
    asked = task(**DATA, max_tokens=10)
    off, on = task_config(asked, OFF), task_config(asked, ON)
    assert (off.sampling.max_output_tokens, on.sampling.max_output_tokens) == (10, 110)
    assert (off.thinking, on.thinking, off.response_schema["type"]) == (False, True, "object")


def asked_for(**fields: Any) -> LlmAsked:
    values: dict[str, Any] = {**dict.fromkeys(LlmAsked.__dataclass_fields__, ()), **fields}
    return LlmAsked(**values)


def test_proxies_addresses_and_models_are_measured_and_the_default_where_none_is_named() -> None:
    found = measurable(asked_for(targets=["a=h:1"], upstreams=["b=http://h/v1"], models=["c=/m.gguf"]))
    assert found == [Running("a", "h:1"), AtUrl("b", "http://h/v1"), OwnModel("c", "/m.gguf")]
    assert measurable(asked_for()) == [OwnModel(DEFAULT)]
    with pytest.raises(BenchUsage, match="two targets are named a"):
        measurable(asked_for(targets=["a=h:1"], upstreams=["a=http://h/v1"]))
    with pytest.raises(BenchUsage, match="must be NAME=URL"):
        measurable(asked_for(upstreams=["http://h/v1"]))


def answer(first_s: float, taken_s: float = 1.0, tokens: int = 11, failure: str = "") -> Answer:
    return Answer("x", first_s, taken_s, tokens, failure)


def rounds(*firsts: tuple[float, float | None]) -> list[Round]:
    return [Round([answer(one)], [] if other is None else [answer(other)]) for one, other in firsts]


def test_the_overhead_is_the_median_over_the_rounds_of_what_the_proxy_is_later() -> None:
    told = figures(Pass(1, rounds((0.012, 0.010), (0.503, 0.500), (0.030, 0.001))))
    assert told["overhead_p50_s"] == pytest.approx(0.003)
    assert told["first_token_p50_s"] == pytest.approx(0.030)
    assert told["direct_first_token_p50_s"] == pytest.approx(0.010)
    assert told["tokens_per_s"] == pytest.approx(10 / 0.97)
    assert told["all_tokens_per_s"] == pytest.approx(11)
    assert figures(Pass(1, rounds((0.1, None))))["overhead_p50_s"] is None
    assert figures(Pass(1, [Round([answer(0.1, failure="gone")], [])]))["failures"] == 1


def outcome(name: str, overhead_s: float, scores: Sequence[float], **fields: Any) -> LlmOutcome:
    answers = [
        TaskAnswer(each, thinking, "x" if worth else "", worth, 2.0 if thinking else 1.0, 9)
        for thinking in (False, True)
        for each, worth in zip(read_tasks("seed").tasks, scores, strict=False)
    ]
    passes = [Pass(1, rounds((0.1 + overhead_s, 0.1)))]
    return LlmOutcome(name, passes=passes, answers=answers, **fields)


def test_a_report_has_thinking_off_beside_on_and_the_gates_that_ship_judge_it(tmp_path: Path) -> None:
    outcomes = [outcome("good", 0.002, [10.0, 5.0]), outcome("slow", 0.05, [0.0]), LlmOutcome("none", problem="gone")]
    plan = Plan(read_tasks("seed"), [1], 1, 8, [OFF, ON], "good", Limits())
    gates = read_gates("llm", metrics())
    judgements = judge([each.findings() for each in outcomes], "good", gates)
    assert [each.verdict for each in judgements] == [Verdict.GO, Verdict.NO_GO, Verdict.NO_GO]
    report = llm_report(Run(Machine.now(load()), plan, outcomes), judgements, gates)
    assert list(report.wrong) == ["none: gone"]
    markdown, data, plot = report.write(tmp_path)
    text = markdown.read_text()
    assert "| good | 1 | 102.0 | 102.0 | 100.0 | 100.0 | 2.0 |" in text
    assert "| good | sensitivity | 7.5 | 7.5 | 1.00 | 2.00 | 2.0 |" in text
    assert "| slow | off | 1 | 1 | 0 | 9 |" in text
    assert '"overhead_p50_s"' in data.read_text()
    assert plot.read_bytes().startswith(b"\x89PNG")
