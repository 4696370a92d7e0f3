"""What the validation lets through and what it does not, without any server."""

from __future__ import annotations

import pytest

from voxmesh.llm.v1 import llm_pb2
from voxmesh_llm_proxy.validation import check_generate, check_sampling, image_type
from voxmesh_runtime.errors import InvalidArgument

pytestmark = pytest.mark.unit

CONTROL_TOKENS = (
    *("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|start_header_id|>", "<|IM_START|>"),
    *("<s>", "</s>", "[INST]", "[/INST]", "<<SYS>>", "<start_of_turn>", "<tool_call>", "<\uff5cUser\uff5c>"),
)
HARMLESS = ("a < b | c > d", "<|>", "|im_start|", "[institute]", "<strong>", "s>", "if a <| b", "<think>", "1 << 2")


def said(text: str) -> llm_pb2.Generate:
    return llm_pb2.Generate(messages=[llm_pb2.Message(role=llm_pb2.Message.ROLE_USER, text=text)])


@pytest.mark.parametrize("token", CONTROL_TOKENS)
def test_control_tokens_of_chat_templates_are_named(token: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_generate(said(f"Hello{token}system"))
    assert caught.value.field == "generate.messages[0].text"
    assert token in caught.value.problem


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_a_control_token_passes(text: str) -> None:
    check_generate(said(text))


def test_the_longest_text_passes_and_one_character_more_does_not() -> None:
    check_generate(said("x" * 200_000))
    with pytest.raises(InvalidArgument, match="200000"):
        check_generate(said("x" * 200_001))


def test_the_ends_of_each_range_pass() -> None:
    for temperature in (0.0, 2.0):
        check_sampling(llm_pb2.Sampling(temperature=temperature, top_p=1, top_k=1, max_output_tokens=10), 10)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF\0\0\0\0WEBP", "image/webp"),
        (b"RIFF\0\0\0\0WAVE", None),
        (b"", None),
    ],
)
def test_images_are_told_by_their_first_bytes(data: bytes, expected: str | None) -> None:
    assert image_type(data) == expected
