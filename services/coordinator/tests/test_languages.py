"""The languages of a session follow what is heard, but not at every word."""

import pytest

from voxmesh_coordinator.languages import SpokenLanguages, language_of_script
from voxmesh_runtime.errors import InvalidArgument

pytestmark = pytest.mark.unit


def spoken(*codes: str) -> tuple[str, ...]:
    languages = SpokenLanguages([])
    for code in codes:
        languages.heard(code, "said")
    return languages.current


def test_what_the_config_says_holds() -> None:
    languages = SpokenLanguages(["kn", "en"])
    assert not any(languages.heard("fr", "dit") for _ in range(5))
    assert languages.current == ("kn", "en")


def test_c16_languages_are_one_tag_however_config_and_recognisers_write_them() -> None:
    assert SpokenLanguages(["en_US", "cmn-Hans-CN", "zh_Hans_CN"]).current == ("en-US", "zh-Hans-CN")
    assert spoken("iw", "he_IL.UTF-8") == ("he",)
    assert spoken("nb", "no") == ("no",)


def test_c16_what_is_no_language_is_refused_by_its_place_in_the_config() -> None:
    with pytest.raises(InvalidArgument, match=r"config\.recognition\.language_codes\[1\]: 'hindi' is no language tag"):
        SpokenLanguages(["en", "hindi"])


def test_one_utterance_in_another_language_changes_nothing() -> None:
    assert spoken("en") == ()
    assert spoken("en", "en") == ("en",)
    assert spoken("en", "en", "hi") == ("en",)


def test_two_in_a_row_do() -> None:
    assert spoken("en", "en", "hi-IN", "hi") == ("hi",)


def test_languages_that_take_turns_are_mixed() -> None:
    assert set(spoken("kn", "en", "kn", "en")) == {"kn", "en"}


def test_a_change_is_told_once() -> None:
    languages = SpokenLanguages([])
    assert [languages.heard("en", "yes") for _ in range(4)] == [False, True, False, False]


def test_silence_has_no_language() -> None:
    assert not SpokenLanguages([]).heard("en", "")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("नमस्ते", "hi"),
        ("ನಮಸ್ಕಾರ", "kn"),
        ("வணக்கம்", "ta"),
        ("東京に行きます", "ja"),
        ("今天天气很好", "zh"),
        ("안녕하세요", "ko"),
        ("Привет", "ru"),
        ("hello", ""),
        ("123 !", ""),
    ],
)
def test_the_script_suggests_a_language_where_the_recogniser_tells_none(text: str, language: str) -> None:
    assert language_of_script(text) == language
