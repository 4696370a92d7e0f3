"""What a decode goes on from is whole characters, and what is shown is clean."""

from __future__ import annotations

import pytest

from voxmesh_stt_qwen_asr.text import parsed, rolled_back, without_repetitions
from voxmesh_stt_qwen_asr.transformers_backend import TransformersBackend

pytestmark = pytest.mark.engine


def test_the_last_tokens_are_rolled_back(words_backend: TransformersBackend) -> None:
    tokenizer = words_backend.tokenizer
    raw = "language English<asr_text>stop start open"
    assert rolled_back(tokenizer, raw, 0) == raw
    assert rolled_back(tokenizer, raw, 5) == tokenizer.decode(tokenizer.encode(raw)[:-5])
    assert rolled_back(tokenizer, raw, 500) == ""
    assert rolled_back(tokenizer, "", 5) == ""


@pytest.mark.parametrize("tokens", range(1, 12))
def test_a_character_of_several_tokens_goes_as_a_whole(words_backend: TransformersBackend, tokens: int) -> None:
    raw = "stop ಕನ್ನಡ天"
    assert len(words_backend.tokenizer.encode("天")) == 3
    prefix = rolled_back(words_backend.tokenizer, raw, tokens)
    assert "\ufffd" not in prefix
    assert raw.startswith(prefix)
    assert len(prefix) < len(raw)


def test_a_character_that_is_not_all_there_is_not_shown() -> None:
    assert parsed("language Chinese<asr_text>天\ufffd", None) == ("Chinese", "天")


@pytest.mark.parametrize(
    ("raw", "forced", "language", "text"),
    [
        ("language English<asr_text>Hello.", None, "English", "Hello."),
        ("language None<asr_text>", None, "", ""),
        ("language English", None, "", ""),
        ("language", "English", "English", "language"),
        ("I speak a language", None, "", "I speak a language"),
        ("", None, "", ""),
        ("Hello.", "German", "German", "Hello."),
    ],
)
def test_an_answer_is_a_language_and_a_text(raw: str, forced: str | None, language: str, text: str) -> None:
    assert parsed(raw, forced) == (language, text)


def test_a_model_that_is_stuck_is_shown_once_and_does_not_go_on_from_there() -> None:
    assert without_repetitions("Well, " + "no " * 40 + "yes") == "Well, no yes"
    assert without_repetitions("a" * 30 + "b") == "ab"
    assert without_repetitions("no no no, 100000000 times") == "no no no, 100000000 times"
