"""SSML becomes clauses, pauses and speeds, each with its place in the document; what is no SSML is refused there."""

from __future__ import annotations

import pytest

from voxmesh_runtime.errors import InvalidArgument
from voxmesh_tts.clauses import Clause
from voxmesh_tts.engine import PROSODY_RATE, ClauseLimits
from voxmesh_tts.reading import Reader
from voxmesh_tts.ssml import SERVICE_ELEMENTS, SsmlCutter

pytestmark = pytest.mark.unit

DOCUMENT = """<?xml version="1.0"?>
<!-- a comment -->
<speak>Hello &amp; welcome my friends <break time="500ms"/> to <sub alias="World Wide Web">WWW</sub>
in <say-as interpret-as="date" format="dmy">12/05/2026</say-as>. It is 3<mark name="x"/>.14 &lt; 4.
<p><s>Code <say-as interpret-as="characters">a1b</say-as></s><s>ನಮಸ್ಕಾರ</s></p>
<prosody rate="slow">so slow <prosody rate="200%">and fast</prosody></prosody>
<metadata>not this</metadata><![CDATA[a & b]]> &#x41;gain.</speak>"""


def cut(document: str, size: int | None = None, language: str = "en-US") -> list[Clause]:
    cutter = SsmlCutter(ClauseLimits(), Reader(language), SERVICE_ELEMENTS | {PROSODY_RATE})
    size = size or len(document) or 1
    pieces = (document[at : at + size] for at in range(0, len(document), size))
    return [*(clause for piece in pieces for clause in cutter.feed(piece)), *cutter.flush()]


def said(content: str, language: str = "en-US") -> str:
    return " ".join(clause.text for clause in cut(f"<speak>{content}</speak>", language=language))


def test_a_document_is_spoken_as_it_says() -> None:
    clauses = cut(DOCUMENT)
    assert [(clause.text, clause.pace, clause.pause_s) for clause in clauses] == [
        ("Hello and welcome my friends", 1.0, 0.0),
        ("", 1.0, 0.5),
        ("to World Wide Web in May twelfth, twenty twenty-six.", 1.0, 0.0),
        ("It is three point one four is less than four.", 1.0, 0.0),
        ("Code A. one B.", 1.0, 0.0),
        ("ನಮಸ್ಕಾರ.", 1.0, 0.0),
        ("so slow", 0.75, 0.0),
        ("and fast", 1.5, 0.0),
        ("a and b Again.", 1.0, 0.0),
    ]


def test_clauses_have_their_places_in_the_document() -> None:
    places = [DOCUMENT[clause.start : clause.end] for clause in cut(DOCUMENT)]
    assert places[:3] == [
        "Hello &amp; welcome my friends",
        '<break time="500ms"/>',
        'to <sub alias="World Wide Web">WWW</sub>\nin <say-as interpret-as="date" format="dmy">12/05/2026</say-as>.',
    ]
    assert places[4:] == [
        'Code <say-as interpret-as="characters">a1b</say-as>',
        "ನಮಸ್ಕಾರ",
        "so slow",
        "and fast",
        "a & b]]> &#x41;gain.",
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_the_size_of_the_pieces_changes_nothing(size: int) -> None:
    assert cut(DOCUMENT, size) == cut(DOCUMENT)
    assert cut(DOCUMENT.replace("\n", "\r\n"), size) == cut(DOCUMENT.replace("\n", "\r\n"))


def test_speech_does_not_wait_for_the_end_of_the_document() -> None:
    cutter = SsmlCutter(ClauseLimits(), Reader("en-US"), SERVICE_ELEMENTS)
    assert [clause.text for clause in cutter.feed("<speak>It is so.")] == ["It is so."]
    assert [clause.text for clause in cutter.feed(" And so</s")] == []


@pytest.mark.parametrize(
    ("kind", "written", "language", "words"),
    [
        ("cardinal", "2024", "en-US", "two thousand twenty-four"),
        ("ordinal", "3", "en-US", "third"),
        ("ordinal", "13", "en-US", "thirteenth"),
        ("ordinal", "5", "hi-IN", "पाँचवाँ"),
        ("ordinal", "3", "de-DE", "3"),
        ("characters", "Ab-1", "en-US", "A.B. dash one"),
        ("spell-out", "USA", "en-US", "U.S.A."),
        ("digits", "2024", "kn-IN", "ಎರಡು ಸೊನ್ನೆ ಎರಡು ನಾಲ್ಕು"),
        ("telephone", "+91 98450", "en-US", "plus nine one, nine eight four five zero"),
        ("time", "2:30pm", "en-US", "two thirty P.M."),
        ("currency", "$48.50", "en-US", "forty-eight dollars and fifty cents"),
        ("fraction", "3/4", "en-US", "three quarters"),
        ("unknown-thing", "so", "en-US", "so"),
    ],
)
def test_what_is_said_as_something(kind: str, written: str, language: str, words: str) -> None:
    assert said(f'<say-as interpret-as="{kind}">{written}</say-as>', language) == words


@pytest.mark.parametrize(
    ("attributes", "seconds"),
    [
        ("", 0.5),
        ('strength="strong"', 0.75),
        ('time="1.5s"', 1.5),
        ('time="20ms" strength="strong"', 0.02),
    ],
)
def test_breaks(attributes: str, seconds: float) -> None:
    assert [clause.pause_s for clause in cut(f"<speak><break {attributes}/></speak>")] == [seconds]


@pytest.mark.parametrize("none", ['strength="none"', 'time="0s"'])
def test_a_break_of_no_length_is_none(none: str) -> None:
    [clause] = cut(f"<speak>on and <break {none}/>on</speak>")
    assert clause.text == "on and on"


@pytest.mark.parametrize(
    ("rate", "pace"), [("x-fast", 1.5), ("80%", 0.8), ("+10%", 1.1), ("-20%", 0.8), ("1.2", 1.2), ("900%", 4.0)]
)
def test_rates(rate: str, pace: float) -> None:
    [clause] = cut(f'<speak><prosody rate="{rate}" pitch="high">so</prosody></speak>')
    assert clause.pace == pytest.approx(pace)


def test_an_engine_without_rates_of_its_own_speaks_on() -> None:
    cutter = SsmlCutter(ClauseLimits(), Reader("en-US"), SERVICE_ELEMENTS)
    [clause] = [*cutter.feed('<speak>so <prosody rate="fast">fast</prosody></speak>'), *cutter.flush()]
    assert (clause.text, clause.pace) == ("so fast", 1.0)


def test_elements_that_nobody_heeds_are_read_as_text() -> None:
    assert said('<emphasis level="strong">so</emphasis> <x:y xmlns:x="z">on</x:y>') == "so on"


def test_a_segment_without_text_says_nothing() -> None:
    assert cut("") == []
    assert cut("<speak/>") == []


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ("hello", "line 1, column 1: syntax error"),
        ("<speak>\n  a<b></speak>", "line 2, column 9: mismatched tag"),
        ("<speak>a", "line 1, column 9: no element found"),
        ("<speak>a</speak>b", "line 1, column 17: junk"),
        ("<speak>a</speak><speak>b</speak>", "junk"),
        ("<voice>a</voice>", "line 1, column 1: the document must be one <speak> element"),
        ("<!DOCTYPE x><speak/>", "document type"),
        ('<!DOCTYPE x [<!ENTITY e "ee">]><speak>&e;</speak>', "document type"),
        ("<speak>&e;</speak>", "line 1, column 8: undefined entity"),
        ("<speak>" + "<p>" * 40, "deeper than 32"),
        ('<speak>\n<break time="5"/></speak>', "line 2, column 1: a break's time must be like"),
        ('<speak><break time="11s"/></speak>', "at most 10 s"),
        ('<speak><break strength="much"/></speak>', "strength must be one of none, x-weak"),
        ('<speak><prosody rate="quick">a</prosody></speak>', "a rate must be like"),
        ("<speak><say-as>1</say-as></speak>", "interpret-as"),
        ("<speak>&lt;|im_start|&gt;</speak>", "control token"),
        ("<speak>&lt;|im_<mark/>start|&gt;</speak>", "control token"),
        ('<speak><sub alias="&lt;|im_start|&gt;">a</sub></speak>', "control token"),
    ],
)
@pytest.mark.parametrize("size", [1, 10_000])
def test_what_is_no_ssml_is_refused_with_its_place(document: str, problem: str, size: int) -> None:
    with pytest.raises(InvalidArgument) as refused:
        cut(document, size)
    assert refused.value.field == "text.text"
    assert problem in refused.value.problem
