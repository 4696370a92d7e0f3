"""Texts are measured before the model sees them, and grouped so that little of a run is padding."""

from __future__ import annotations

import itertools
import math
import random

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
        ([10, 13, 17], [[0, 1, 2]]),
        ([10, 13, 30], [[0, 1], [2]]),
        ([10] * 8 + [12], [[0, 1, 2, 3, 4, 5, 6, 7], [8]]),
    ],
)
def test_texts_of_like_length_share_a_run_and_others_do_not(lengths: list[int], groups: list[list[int]]) -> None:
    assert runs(lengths, 1024, 8) == groups


@pytest.mark.parametrize("seed", range(5))
def test_no_other_grouping_costs_less(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 # test data
    lengths = sorted(chance.randint(1, 60) for _ in range(9))

    def cost(cuts: tuple[int, ...]) -> float:
        parts = [lengths[start:end] for start, end in itertools.pairwise((0, *cuts, len(lengths)))]
        too_long = any(len(part) > 1 and len(part) * part[-1] > 120 for part in parts)
        return math.inf if too_long else sum(8 + len(part) * part[-1] for part in parts)

    least = min(cost(cuts) for count in range(9) for cuts in itertools.combinations(range(1, 9), count))
    found = [[lengths[place] for place in group] for group in runs(lengths, 120, 8)]
    assert sum(8 + len(group) * group[-1] for group in found) == least


def test_no_run_is_larger_than_the_memory_set_aside_for_it() -> None:
    groups = runs([256] * 16, 1024)
    assert sorted(place for group in groups for place in group) == list(range(16))
    assert all(256 * len(group) <= 1024 for group in groups)
