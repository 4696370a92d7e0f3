"""Text in a script that an engine does not read is refused; a line or two proves nothing."""

from __future__ import annotations

import pytest

from voxmesh_runtime.engine import ModelFacts
from voxmesh_runtime.errors import Unimplemented
from voxmesh_vlm.engine import EngineInfo, Task, TextLine
from voxmesh_vlm.scripts import Found, Held, illegible, require_scripts

pytestmark = pytest.mark.unit

INFO = EngineInfo(
    ModelFacts("m", "Apache-2.0"), frozenset({Task.READ_TEXT}), script_codes=("Jpan", "Latn"), readers=("one", "other")
)


def found(text: str, length: float, *, legible: bool = True, proof: bool | None = None) -> Found:
    return Found(TextLine(0, text, ()), length, legible, legible if proof is None else proof)


def sent(*lines: Found) -> tuple[list[str], list[str] | None]:
    """What leaves while lines are added, and at their end; None where the picture is refused."""
    held = Held()
    early = [line.text for one in lines for line in held.add(one)]
    return early, None if held.is_refused else [line.text for line in held.rest()]


GOOD, MORE, SHORT = found("good", 9), found("more", 9), found("7", 1)
BAD, DOUBTFUL = found("3p", 9, legible=False), found("maybe", 9, proof=False)


@pytest.mark.parametrize(
    ("lines", "outcome"),
    [
        pytest.param([], ([], []), id="blank"),
        pytest.param([GOOD, MORE], (["good", "more"], []), id="lines-leave-as-they-come"),
        pytest.param([BAD], ([], None), id="another-script"),
        pytest.param([BAD, SHORT, BAD], ([], None), id="a-lone-figure-proves-nothing"),
        pytest.param([SHORT], ([], ["7"]), id="nothing-but-a-figure"),
        pytest.param([found("x", 2.5, legible=False)], ([], []), id="a-speck"),
        pytest.param([found("Line 0", 2.5), found("Line 1", 2.5)], (["Line 0", "Line 1"], []), id="short-lines"),
        pytest.param([BAD, GOOD, MORE], (["good", "more"], []), id="held-until-it-is-clear"),
        pytest.param([SHORT, GOOD, BAD], (["7", "good"], []), id="what-is-illegible-is-left-out"),
        pytest.param([BAD, GOOD], ([], ["good"]), id="half-of-it"),
        pytest.param([BAD, BAD, BAD, GOOD], ([], None), id="a-quarter-of-it"),
        pytest.param([DOUBTFUL, DOUBTFUL], ([], None), id="lines-that-prove-nothing"),
        pytest.param([DOUBTFUL, GOOD, MORE], (["maybe", "good", "more"], []), id="doubt-goes-with-proof"),
    ],
)
def test_a_picture_is_refused_when_too_little_of_it_is_legible(
    lines: list[Found], outcome: tuple[list[str], list[str] | None]
) -> None:
    assert sent(*lines) == outcome


@pytest.mark.parametrize("languages", [(), ("en",), ("ja", "de", "sr-Latn"), ("en-IN",)])
def test_languages_that_are_read_pass(languages: tuple[str, ...]) -> None:
    require_scripts(INFO, languages)


def test_languages_that_are_not_read_are_refused_with_those_that_are() -> None:
    with pytest.raises(Unimplemented, match=r"kn \(Knda\), sr \(Cyrl\); it reads Jpan, Latn; use one or other"):
        require_scripts(INFO, ("en", "kn", "sr"))


def test_an_engine_that_tells_no_scripts_may_read_any() -> None:
    require_scripts(EngineInfo(INFO.facts, INFO.tasks), ("kn",))


def test_a_refusal_says_what_the_text_looks_like_where_that_is_known() -> None:
    assert "image_chunk[2] looks like Taml, and the engine cannot read it" in illegible(INFO, 2, "Taml").message
    assert "is in another script, or too blurred" in illegible(INFO, 2).message
