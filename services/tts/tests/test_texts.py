"""Text that is too long, or no text, is refused with its field and limit."""

from __future__ import annotations

import pytest

from voxmesh_runtime.errors import InvalidArgument
from voxmesh_tts.texts import SegmentTextGuard

pytestmark = pytest.mark.unit


def test_a_segment_may_have_as_much_text_as_the_contract_says() -> None:
    guard = SegmentTextGuard()
    for _ in range(5):
        guard.check("a" * 10_000)
    with pytest.raises(InvalidArgument, match=r"text\.text: the segment must have at most 50000 characters"):
        guard.check("a")


@pytest.mark.parametrize("token", ["<|im_start|>", "<|end|>", "<start_of_turn>", "[/INST]", "<<SYS>>", "</s>"])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_template_token_in_two_pieces_is_found(token: str, at: int) -> None:
    guard = SegmentTextGuard()
    guard.check("so " + token[:at])
    with pytest.raises(InvalidArgument, match="control token"):
        guard.check(token[at:] + " on")


def test_a_template_token_in_single_characters_is_found() -> None:
    guard = SegmentTextGuard()
    for character in "<|im_start|":
        guard.check(character)
    with pytest.raises(InvalidArgument, match="control token"):
        guard.check(">")


@pytest.mark.parametrize("text", ["line\nbreak\ttab\r\n", "a < b | c > d", "[INSTANT] <s tag>", "क्\u200dष"])
def test_ordinary_text_passes(text: str) -> None:
    SegmentTextGuard().check(text)
