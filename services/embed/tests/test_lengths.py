"""Texts are measured before the model sees them, and grouped so that little of a run is padding."""

from __future__ import annotations

import pytest

from voxmesh_embed.lengths import guessed_tokens, runs

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("parts", "tokens"),
    [
        (("",), 1),
        (("hello",), 1),
        (("The cat sleeps on the sofa, as it always does in the afternoon.",), 15),
        (("ಬೆಕ್ಕು ಮಲಗಿದೆ",), 9),
        (("query " * 10, "document " * 10), 37),
        (("x" * 100_000,), 254),
        (("\ud800" * 40,), 30),
    ],
)
def test_tokens_are_guessed_and_cut_to_what_the_model_reads(parts: tuple[str, ...], tokens: int) -> None:
    assert guessed_tokens(parts, 254) == tokens


@pytest.mark.parametrize(
    ("lengths", "groups"),
    [
        ([], []),
        ([7], [[0]]),
        ([256, 5, 6, 250, 5], [[1, 4, 2], [3, 0]]),
        ([2000], [[0]]),
        ([10, 13, 17], [[0, 1], [2]]),
    ],
)
def test_texts_of_like_length_share_a_run_and_others_do_not(lengths: list[int], groups: list[list[int]]) -> None:
    assert runs(lengths, 1024) == groups


def test_no_run_is_larger_than_the_memory_set_aside_for_it() -> None:
    groups = runs([256] * 16, 1024)
    assert sorted(place for group in groups for place in group) == list(range(16))
    assert all(256 * len(group) <= 1024 for group in groups)
