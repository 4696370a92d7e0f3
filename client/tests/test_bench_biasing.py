"""Files of biasing cases, and how terms and controls are counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from voxmesh.common.v1 import common_pb2
from voxmesh_client.bench.biasing import (
    BiasingResult,
    CaseClips,
    Hearing,
    controls_changed,
    has_term,
    shortfalls,
    terms_heard,
)
from voxmesh_client.bench.biasing_report import biasing_tables
from voxmesh_client.bench.case_file import Cases, read_cases
from voxmesh_client.bench.clip import Clip
from voxmesh_client.bench.interims import Shown
from voxmesh_client.bench.listening import Heard
from voxmesh_client.bench.problems import BenchUsage

pytestmark = pytest.mark.unit

CASES = Cases.model_validate(
    {
        "contexts": {"none": {}, "rich": {"phrases": ["Claude", {"text": "Code", "boost": 3}], "context": "Software."}},
        "clips": [{"audio": "a.wav", "text": "Claude Code", "term": "Claude Code"}],
        "controls": [{"audio": "b.wav", "text": "cloud code"}],
    }
)


def heard(text: str, failure: str = "", options: tuple[common_pb2.OptionOutcome, ...] = ()) -> Heard:
    clip = Clip(Path("x.wav"), "said", "here", "en", duration_s=1.0)
    return Heard(clip, results=[Shown(0.0, 0, text, True)], outcomes=options, failure=failure)


def result(rich_clip: Heard, rich_control: Heard) -> BiasingResult:
    none = Hearing([heard("cloud code")], [heard("Cloud code.")])
    return BiasingResult("t", contexts={"none": none, "rich": Hearing([rich_clip], [rich_control])})


@pytest.mark.parametrize(
    ("text", "expected"),
    [("I use CLAUDE, code.", True), ("Claude code", True), ("cloud code", False), ("Claude's code", False)],
)
def test_a_term_is_heard_when_its_words_stand_together(text: str, expected: bool) -> None:  # noqa: FBT001 # a table
    assert has_term("Claude Code", text, "en") is expected


def test_parts_of_words_are_no_term() -> None:
    assert not has_term("Claude", "Claudette spoke", "en")


def test_a_control_changes_with_its_words_not_with_its_punctuation() -> None:
    kept, changed = result(heard(""), heard("cloud code")), result(heard(""), heard("Claude code"))
    assert controls_changed(kept.contexts["rich"], kept.contexts["none"]) == [False]
    assert controls_changed(changed.contexts["rich"], changed.contexts["none"]) == [True]


def test_what_failed_was_not_heard_and_a_control_that_failed_has_changed() -> None:
    failed = result(heard("Claude Code", failure="broke"), heard("cloud code", failure="broke"))
    assert terms_heard(failed.contexts["rich"], CASES) == [False]
    assert controls_changed(failed.contexts["rich"], failed.contexts["none"]) == [True]


def test_shortfalls_name_what_is_missing() -> None:
    assert shortfalls([result(heard("Claude Code"), heard("cloud code"))], CASES, {"rich": 1.0}) == []
    poor = result(heard("cloud code"), heard("Claude code"))
    assert shortfalls([poor], CASES, {}) == []
    assert shortfalls([poor], CASES, {"rich": 1.0}) == [
        "t, rich: 0 of 1 terms heard, expected 100%",
        "t, rich: 1 of 1 controls changed",
    ]
    failed = result(heard("", failure="broke"), heard("cloud code"))
    assert shortfalls([failed, BiasingResult("gone", problem="no model")], CASES, {}) == [
        "t: x failed: broke",
        "gone: no model",
    ]


def test_the_outcomes_of_ready_stand_beside_the_terms() -> None:
    option = common_pb2.OptionOutcome
    told = (
        option(field="config.language_codes", outcome=option.OUTCOME_APPLIED),
        option(field="config.biasing.phrases", outcome=option.OUTCOME_APPROXIMATED),
        option(field="config.biasing.phrases[1]", outcome=option.OUTCOME_IGNORED),
    )
    found = result(heard("Claude Code", options=told), heard("cloud code"))
    clips = CaseClips(CASES, [heard("").clip], [heard("").clip])
    contexts, texts = biasing_tables([found], clips)
    assert contexts.rows[1] == ("rich", "1 of 1", "0 of 1", "0", "phrases APPROXIMATED, phrases[1] IGNORED")
    assert texts.rows[0][2:] == ("no: cloud code", "yes: Claude Code")
    assert texts.rows[1][2:] == ("Cloud code.", "same: cloud code")


def test_contexts_become_the_contracts_biasing() -> None:
    biasing = CASES.contexts["rich"].biasing()
    assert [(each.text, each.HasField("boost"), each.boost) for each in biasing.phrases] == [
        ("Claude", False, 0.0),
        ("Code", True, 3.0),
    ]
    assert biasing.context == "Software."
    assert CASES.plain == "none"


def test_the_cases_that_ship_can_be_heard() -> None:
    cases, path = read_cases("seed")
    assert list(cases.contexts) == ["none", "sparse", "rich", "sentence"]
    clips = [cases.clip(case, path) for case in (*cases.clips, *cases.controls)]
    assert all(clip.duration_s > 1 for clip in clips)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("contexts = [", "is no TOML"),
        ("[contexts.none]\n", "clips: Field required"),
        ('[contexts.a]\ncontext = "x"\n[[clips]]\naudio="a"\ntext="b"\nterm="c"', "must tell nothing"),
        ('[contexts.a]\n[contexts.b]\n[[clips]]\naudio="a"\ntext="b"\nterm="c"', "must tell nothing"),
        ('[contexts.a]\n[[clips]]\naudio="a"\ntext="b"', "clips.0.term: Field required"),
        ('[contexts.a]\nphrase = ["x"]\n[[clips]]\naudio="a"\ntext="b"\nterm="c"', "contexts.a.phrase: Extra"),
    ],
)
def test_wrong_cases_are_named(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "cases.toml"
    path.write_text(text)
    with pytest.raises(BenchUsage) as caught:
        read_cases(str(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert complaint in str(caught.value)


def test_cases_may_be_json_and_a_missing_recording_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cases.json"
    path.write_text(CASES.model_dump_json())
    cases, found = read_cases(str(path))
    assert cases == CASES
    with pytest.raises(BenchUsage, match=r"cases\.json: .*a\.wav: no such file"):
        cases.clip(cases.clips[0], found)
