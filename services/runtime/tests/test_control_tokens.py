"""Marks of chat templates: refused from callers, taken out of what a model wrote, wherever the text is cut."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmesh_runtime.control_tokens import LONGEST, ControlTokenFilter, refuse_control_tokens, strip_control_tokens
from voxmesh_runtime.errors import InvalidArgument

pytestmark = pytest.mark.unit

CLEANED = {
    "C2 end of turn": ("Paris.<|im_end|>", "Paris."),
    "C2 HTML": ("Write <s>old</s> for a line through it.", "Write old for a line through it."),
    "C2 two in a row": ("Hi<|im_end|><|endoftext|>", "Hi"),
    "C2 the longest": (f"a<|{'x' * 40}|>b", "ab"),
    "C2 wide bars": ("<\uff5cUser\uff5c>Hi<\uff5cend\u2581of\u2581sentence\uff5c>", "Hi"),
    "C2 any case": ("Hi</S> [inst]there[/Inst]", "Hi there"),
    "C2 the only thing": ("<|im_end|>", ""),
    "C2 one inside another": ("<<s>s>Hi", "Hi"),
    "C2 one beside what begins another": ("<<SY<s>Hi", "<<SYHi"),
}
KEPT = (
    *(
        "a < b",
        "x <y and z> w",
        "see [INST",
        "[INSTITUTE]",
        "<",
        "[",
        "<|",
        "<|a b|>",
        "<strong>",
        "if a <| b",
        "1 << 2",
    ),
    *("<think>", "<<SY", "a <s", f"<|{'x' * 41}|>", "| im_end |", "", "list[int] and dict[str, int]"),
)


def cleaned(pieces: list[str]) -> str:
    cleaner = ControlTokenFilter()
    return "".join([*map(cleaner.feed, pieces), cleaner.flush()])


@pytest.mark.parametrize("case", CLEANED)
def test_marks_go_and_the_words_stay_wherever_the_text_is_cut(case: str) -> None:
    text, expected = CLEANED[case]
    assert strip_control_tokens(text) == expected
    for cut in range(len(text) + 1):
        assert cleaned([text[:cut], text[cut:]]) == expected
    assert cleaned(list(text)) == expected


@pytest.mark.parametrize("text", KEPT)
def test_what_only_looks_like_a_mark_stays(text: str) -> None:
    assert strip_control_tokens(text) == text
    assert cleaned(list(text)) == text


def test_ordinary_text_is_not_held_back() -> None:
    cleaner = ControlTokenFilter()
    for piece in ("Hello", ", wor", "ld. ", "a < b ", "and [this] "):
        assert cleaner.feed(piece) == piece


def test_only_what_may_begin_a_mark_is_held_back() -> None:
    cleaner = ControlTokenFilter()
    assert cleaner.feed("Paris.<|im_") == "Paris."
    assert cleaner.feed("end of it") == "<|im_end of it"
    assert cleaner.feed("Well [") == "Well "
    assert cleaner.flush() == "["


MARKUP = st.lists(
    st.sampled_from(
        ("<", ">", "|", "[", "]", "/", "s", "<|", "|>", "<s>", "<|a|>", "SYS", "<<", "INST", "x", " ", "\uff5c")
    ),
    max_size=24,
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(MARKUP)
def test_what_passes_holds_no_mark_and_little_is_held_back(pieces: list[str]) -> None:
    cleaner = ControlTokenFilter()
    fed = passed = ""
    for piece in pieces:
        fed += piece
        passed += cleaner.feed(piece)
        refuse_control_tokens("text", passed)
    passed += cleaner.flush()
    refuse_control_tokens("text", passed)
    try:
        refuse_control_tokens("text", fed)
    except InvalidArgument:
        assert len(passed) < len(fed)
    else:
        assert passed == fed


def test_at_most_the_longest_mark_is_held_back() -> None:
    cleaner = ControlTokenFilter()
    text = f"<|{'<|x' * 10_000}"
    assert len(text) - len(cleaner.feed(text)) < LONGEST


def test_marks_without_number_take_no_time_to_speak_of() -> None:
    assert strip_control_tokens("<s" * 50_000 + ">" * 50_000).count("<s>") == 0
