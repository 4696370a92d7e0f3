"""Answers come without thoughts and marks, and the JSON in them is found wherever a model puts it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from voxmesh_runtime.chat.events import Event
from voxmesh_vlm.engine import AnalysisRequest, Task
from voxmesh_vlm_openai_vision.answers import Words, object_in
from voxmesh_vlm_openai_vision.messages import data_url, question, sent_size
from voxmesh_vlm_openai_vision.testing import ChatRequest

pytestmark = pytest.mark.unit

WANTED = {"a": {"b": [1, "}"]}}
TEXT = '{"a": {"b": [1, "}"]}}'


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (TEXT, WANTED),
        (f"  {TEXT}\n", WANTED),
        (f"```json\n{TEXT}\n```", WANTED),
        (f"```\n{TEXT}```", WANTED),
        (f"```JSON\n{TEXT}", WANTED),
        (f"Here it is:\n```json\n{TEXT}\n```\nAnything else?", WANTED),
        (f"The answer is {TEXT}, I think.", WANTED),
        (f"A set {{x}} is not it, but {TEXT} is.", WANTED),
        ("```json\n[1]\n```", None),
        ("[1, 2]", None),
        ("42", None),
        ("null", None),
        ("", None),
        ("no JSON", None),
        (TEXT[:-1], {"b": [1, "}"]}),
        ("{" * 100_000, None),
        ("[" * 100_000, None),
    ],
)
def test_the_object_is_found_in_what_a_model_writes(text: str, value: Any) -> None:
    assert object_in(text) == value


@pytest.mark.parametrize(
    ("events", "text"),
    [
        ([Event(text="Hel"), Event(text="lo")], "Hello"),
        ([Event(reasoning="hmm"), Event(text="Hello")], "Hello"),
        ([Event(text="<think>hm"), Event(text="m</think>\n\nHello")], "Hello"),
        ([Event(text="<thi"), Event(text="nk>never ends")], ""),
        ([Event(text="Hi \ud83d"), Event(text="\ude00")], "Hi 😀"),
        ([Event(text="a<|im_"), Event(text="end|>b")], "ab"),
        ([Event(text="1 < 2")], "1 < 2"),
        ([], ""),
    ],
)
def test_thoughts_and_marks_are_no_part_of_an_answer(events: list[Event], text: str) -> None:
    words = Words()
    assert "".join([*map(words.feed, events), words.end()]) == text


def test_thoughts_that_the_template_opened_are_held_back_where_that_is_known() -> None:
    words = Words(begins_with_thoughts=True)
    events = [Event(text="hmm, a picture"), Event(text="</think>\n\nA cat.")]
    assert "".join([*map(words.feed, events), words.end()]) == "A cat."


def test_pictures_go_in_order_before_the_words_and_large_ones_smaller() -> None:
    pictures = (np.zeros((40, 60, 3), np.uint8), np.full((3000, 1000, 3), 255, np.uint8))
    asked = question(AnalysisRequest(pictures, Task.ANSWER, "what?"), 1_000_000)
    request = ChatRequest({"messages": list(asked.messages)}, "")
    sent = request.pictures
    assert [picture.shape[:2] for picture in sent] == [(40, 60), sent_size(1000, 3000, 1_000_000)[::-1]]
    assert (sent[0].max(), sent[1].min()) == (0, 255)
    assert request.text == "what?"
    assert asked.messages[0]["content"][-1]["type"] == "text"


def test_frames_stand_after_their_times() -> None:
    frames = (np.zeros((40, 60, 3), np.uint8),) * 3
    asked = question(AnalysisRequest(frames, Task.ANSWER, frame_interval_s=0.5), 1_000_000)
    kinds = [part.get("text", "picture") for part in asked.messages[0]["content"]]
    assert kinds == ["<0.0 seconds>", "picture", "<0.5 seconds>", "picture", "<1.0 seconds>", "picture", kinds[-1]]
    assert kinds[-1] == "Describe this video."


def test_a_photograph_goes_as_jpeg_and_a_page_without_loss() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (1500, 1500, 3), np.uint8)
    assert data_url(noise, 4_000_000).startswith("data:image/jpeg;base64,")
    assert data_url(np.full((1500, 1500, 3), 255, np.uint8), 4_000_000).startswith("data:image/png;base64,")


@pytest.mark.parametrize("size", [(1, 1), (1, 16_000_000), (8000, 5000), (60, 40)])
def test_a_picture_is_never_sent_larger_than_it_may_be(size: tuple[int, int]) -> None:
    width, height = sent_size(*size, 1_000_000)
    assert 1 <= width * height <= 1_000_000
    assert width >= 1 <= height
