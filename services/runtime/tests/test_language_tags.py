"""C16: a language is one tag, however people, systems and models write it."""

from __future__ import annotations

import pytest

from voxmesh_runtime.errors import InvalidArgument
from voxmesh_runtime.language_tags import UnknownLanguage, best_match, canonical, checked, primary, script

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("written", "tag", "language"),
    [
        ("en", "en", "en"),
        ("EN-us", "en-US", "en"),
        ("en_US", "en-US", "en"),
        ("en-US.UTF-8", "en-US", "en"),
        ("zh_CN", "zh-CN", "zh"),
        ("zh_CN.GB18030", "zh-CN", "zh"),
        ("de_DE@euro", "de-DE", "de"),
        ("sr_RS.UTF-8@latin", "sr-Latn-RS", "sr"),
        ("sr@cyrillic", "sr-Cyrl", "sr"),
        ("cmn-Hans-CN", "zh-Hans-CN", "zh"),
        ("yue", "yue", "yue"),
        ("no", "no", "no"),
        ("nb-NO", "nb-NO", "no"),
        ("nn", "nn", "nn"),
        ("iw", "he", "he"),
        ("in", "id", "id"),
        ("tl", "fil", "fil"),
        ("jw", "jv", "jv"),
        ("hin", "hi", "hi"),
        ("kn_IN", "kn-IN", "kn"),
        ("es-419", "es-419", "es"),
    ],
    ids=lambda text: f"C16-{text}",
)
def test_a_tag_is_the_one_that_cldr_prefers(written: str, tag: str, language: str) -> None:
    assert (canonical(written), primary(written)) == (tag, language)
    assert (canonical(tag), primary(tag)) == (tag, language)


@pytest.mark.parametrize(
    "text",
    ["", "C", "POSIX", "C.UTF-8", "xx", "xx-", "xx-XX", "hindi", "../../etc", "en\n", "en--US", "日本", "e" * 8000],
    ids=lambda text: f"C16-{text[:9]!a}",
)
def test_what_is_no_language_is_refused_by_field_with_what_to_write(text: str) -> None:
    with pytest.raises(UnknownLanguage):
        canonical(text)
    with pytest.raises(InvalidArgument) as refused:
        checked("config.language_code", text)
    assert refused.value.field == "config.language_code"
    assert "write one of BCP-47, such as en" in refused.value.problem
    assert len(refused.value.problem) < 250
    assert primary(text) == ""


@pytest.mark.parametrize(
    ("wanted", "supported", "found"),
    [
        ("en-GB", ["en-US", "en-GB"], "en-GB"),
        ("en-AU", ["kn", "en-US", "en-GB"], "en-US"),
        ("he", ["iw"], "iw"),
        ("no", ["nb"], "nb"),
        ("nb-NO", ["no"], "no"),
        ("cmn-Hans-CN", ["zh"], "zh"),
        ("zh", ["yue"], None),
        ("fr", ["en", "kn"], None),
        ("", ["", "en"], None),
        ("xx", ["xx"], None),
        ("en", ["tongues", "en"], "en"),
    ],
)
def test_the_nearest_of_those_that_are_there_is_of_the_same_language(
    wanted: str, supported: list[str], found: str | None
) -> None:
    assert best_match(wanted, supported) == found


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("en", "Latn"),
        ("kn_IN", "Knda"),
        ("zh", "Hans"),
        ("zh-TW", "Hant"),
        ("ja", "Jpan"),
        ("sr", "Cyrl"),
        ("sr_RS@latin", "Latn"),
        ("pa", "Guru"),
        ("?", ""),
    ],
)
def test_a_language_has_the_script_that_it_is_mostly_written_in(tag: str, code: str) -> None:
    assert script(tag) == code
