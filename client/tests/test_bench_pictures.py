"""What `voxmesh bench vlm` asks whom, and what it takes for right."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from voxmesh.vlm.v1 import vlm_pb2
from voxmesh_client.bench.gate_file import read_gates
from voxmesh_client.bench.machine import Machine, load
from voxmesh_client.bench.pictures.asking import Answer, Verdict, analysis_of
from voxmesh_client.bench.pictures.case_file import SHIPPED, Case, CaseSet, read_cases
from voxmesh_client.bench.pictures.report import vlm_report
from voxmesh_client.bench.pictures.runner import Plan, Run, VlmOutcome, metrics
from voxmesh_client.bench.pictures.scoring import at, json_in, scored
from voxmesh_client.bench.problems import BenchUsage
from voxmesh_client.bench.server import Limits
from voxmesh_client.bench.verdicts import judge

pytestmark = pytest.mark.unit

READ, ANSWER = vlm_pb2.Analyze.TASK_READ_TEXT, vlm_pb2.Analyze.TASK_ANSWER
SEED = {case.name: case for case in read_cases("seed").cases}
Info = vlm_pb2.GetModelInfoResponse
RIGHT_DATA = {
    "case_number": "LT(2)/CR: 118/2024-25",
    "date": "2025-08-07",
    "presiding_officer": "Smt. A.N. Kamath, I.A.S.",
    "petitioner": "The State",
    "respondents": [
        {"name": "M. Ramanna", "age": None},
        {"name": "Lakshmi Devi", "age": 44.0},
        {"name": "Joseph D'Souza", "age": 61},
    ],
}


def test_the_five_questions_of_the_seed_come_with_their_pictures() -> None:
    cases = read_cases("seed")
    assert [case.name for case in cases.cases] == ["document", "data", "screenshot", "kannada", "mixed"]
    assert all(image.startswith((b"\x89PNG", b"\xff\xd8")) for image in cases.images)


def test_text_is_right_whatever_its_case_and_points_and_wrong_words_are_named() -> None:
    case = SEED["mixed"]
    assert scored(case, "\n".join(case.lines).upper().replace(",", ""), None).is_right
    half = scored(case, "Kn traffic En The review was moved to 4 PM Mix message dinner Mix project plan manager", None)
    assert not half.is_right
    assert 0.3 < half.score < 0.8
    assert "ತುಂಬಾ" in half.reason
    assert half.reason.endswith("more")
    invented = scored(case, "\n".join([*case.lines, "and a lot that nobody wrote " * 3]), None)
    assert not invented.is_right
    assert invented.reason == "18 words that are not there"
    assert scored(case, "", None).score == 0.0


@pytest.mark.parametrize(
    ("text", "data", "score", "reason"),
    [
        ("", RIGHT_DATA, 1.0, ""),
        ("", {**RIGHT_DATA, "date": "7 August 2025"}, 0.9, "missing or wrong: date = 7 August 2025"),
        ("", {**RIGHT_DATA, "respondents": RIGHT_DATA["respondents"][:2]}, 0.8, "respondents.2.name = missing"),
        ('Here it is:\n```json\n{"petitioner": "The State"}\n```', None, 0.1, "case_number = missing"),
        ("It was in August.", None, 0.0, "is no JSON"),
        ("[1, 2]", None, 0.0, "is no JSON"),
    ],
)
def test_data_is_compared_field_by_field(text: str, data: Mapping[str, Any] | None, score: float, reason: str) -> None:
    found = scored(SEED["data"], text, data)
    assert found.score == pytest.approx(score)
    assert reason in found.reason
    assert found.is_right == (score >= 0.9)


def test_an_age_that_the_page_does_not_give_must_be_null() -> None:
    guessed = {**RIGHT_DATA, "respondents": [{"name": "M. Ramanna", "age": 50}, *RIGHT_DATA["respondents"][1:]]}
    assert scored(SEED["data"], "", guessed).reason == "missing or wrong: respondents.0.age = 50"


def test_what_stands_at_a_path() -> None:
    value = {"a": [{"b": 3.0}, None], "c": 1.5}
    assert [at(value, path) for path in ("a.0.b", "a.1", "c", "a.2", "a.x", "d")] == [
        "3",
        "null",
        "1.5",
        "missing",
        "missing",
        "missing",
    ]


def test_an_answer_may_stand_in_a_fence() -> None:
    assert json_in('```\n{"a": 1}\n```') == {"a": 1}
    assert json_in('{"a": "```"}') == {"a": "```"}


def test_a_description_is_right_when_it_mentions_most_things() -> None:
    told = (
        "The GlyphBazaar page shows a lighthouse icon by Mira Olsen from Harbor Lines, $3.50 a month, $4.95 or free. "
    )
    most = scored(SEED["screenshot"], told + "There is a download button and a search field.", None)
    assert most.is_right
    assert most.reason == "missing or wrong: log in, anchor"
    assert not scored(SEED["screenshot"], "A shop for drawings.", None).is_right


@pytest.mark.parametrize(
    ("case", "tasks", "task"),
    [
        ("document", [READ, ANSWER], READ),
        ("document", [ANSWER], ANSWER),
        ("document", [READ], READ),
        ("data", [READ, ANSWER], ANSWER),
        ("data", [READ], None),
        ("screenshot", [READ], None),
    ],
)
def test_who_only_reads_is_asked_to_read_alone(case: str, tasks: list[Any], task: Any) -> None:
    analysis = analysis_of(SEED[case], Info(tasks=tasks))
    assert (None if analysis is None else analysis.task) == task
    assert analysis is None or bool(analysis.prompt) == (task == ANSWER)


def test_a_schema_goes_to_an_engine_that_keeps_one() -> None:
    free = analysis_of(SEED["data"], Info(tasks=[ANSWER]))
    kept = analysis_of(SEED["data"], Info(tasks=[ANSWER], structured_results=True))
    assert free is not None
    assert kept is not None
    assert not free.HasField("response_schema")
    assert kept.response_schema["type"] == "object"
    assert list(analysis_of(SEED["kannada"], Info(tasks=[READ])).language_codes) == ["kn"]  # type: ignore[union-attr]


CASE = 'name = "a"\nabout = "b"\npicture = "none.png"\nprompt = "c"\nright_from = 1\n'


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (CASE + 'task = "read_text"\n', "must have exactly one of lines, fields, facts"),
        (CASE + 'task = "answer"\nfields = {x = ["1"]}\n', "fields and schema belong together"),
        (CASE + 'task = "read_text"\nfacts = [["x"]]\n', "must be compared with lines"),
        (CASE + 'task = "look"\nlines = ["x"]\n', "cases.0.task"),
        (CASE + 'task = "read_text"\nlines = ["x"]\n', "cannot read the picture"),
    ],
)
def test_cases_that_are_wrong_are_told(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "cases.toml"
    path.write_text(f"[[cases]]\n{text}")
    with pytest.raises(BenchUsage) as caught:
        read_cases(str(path))
    assert complaint in str(caught.value)


def answer(case: Case, verdict: Verdict, score: float | None, taken_s: float | None = 2.0) -> Answer:
    return Answer(case, verdict, "" if verdict is Verdict.RIGHT else "why", score, "x" * 50, 1.0, taken_s)


def test_what_was_not_asked_does_not_count_and_a_refusal_is_told_as_such(tmp_path: Path) -> None:
    read, data, kannada = SEED["document"], SEED["data"], SEED["kannada"]
    reader = VlmOutcome("reader")
    reader.answers = [
        answer(read, Verdict.RIGHT, 1.0),
        answer(read, Verdict.WRONG, 0.5),
        Answer(data, Verdict.NOT_ASKED, "it only reads text"),
        Answer(data, Verdict.NOT_ASKED, "it only reads text"),
        answer(kannada, Verdict.REFUSED, 0.0, None),
        answer(kannada, Verdict.FAILED, 0.0, None),
    ]
    told = reader.figures
    assert (told["asked"], told["right_share"], told["refused"], told["failures"]) == (4, 0.25, 1, 1)
    assert told["score"] == pytest.approx(1.5 / 4)
    assert told["taken_p50_s"] == pytest.approx(2.0)
    cases = CaseSet("own", [read, data, kannada], [b"", b"", b""])
    run = Run(Machine.now(load()), Plan(cases, 2, "reader", Limits()), [reader, VlmOutcome("none", problem="gone")])
    gates = read_gates("vlm", metrics())
    judgements = judge([each.findings() for each in run.outcomes], "reader", gates)
    report = vlm_report(run, judgements, gates)
    assert list(report.wrong) == ["reader, kannada: failed: why", "none: gone"]
    markdown, _ = report.write(tmp_path)
    text = markdown.read_text()
    assert (
        "| Scanned page, English: all text | reader | right 1 of 2 wrong 1 of 2 | why | 7.5 | 1.00 | 2.00 | 50 | 0 |"
        in text
    )
    assert "| The same page: data by a schema | reader | not asked | it only reads text | - |" in text
    assert "refused 1 of 2 failed 1 of 2" in text


def test_pictures_that_ship_are_named_by_a_case() -> None:
    named = {case.picture.name for case in SEED.values()}
    assert named == {path.name for path in SHIPPED.iterdir() if path.suffix != ".toml"}
