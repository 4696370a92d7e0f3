"""Vectors in fewer bytes keep their direction as the contract says."""

from __future__ import annotations

import numpy as np
import pytest

from voxmesh_embed.packing import Encoding, packed

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        ([0.5, -0.25, 0.0], [127, -64, 0]),
        ([-1.0, 0.5, 0.003], [-127, 64, 0]),
        ([0.0, 0.0], [0, 0]),
        ([1e-30, -1e-30], [127, -127]),
    ],
)
def test_int8_is_scaled_by_the_largest_magnitude(values: list[float], numbers: list[int]) -> None:
    got = packed(np.array(values, np.float32), Encoding.INT8)
    assert list(np.frombuffer(got, np.int8)) == numbers


@pytest.mark.parametrize(
    ("values", "bits"),
    [
        ([1, -1, 1, -1, -1, -1, -1, 1], [0b10100001]),
        ([1, -1, 1], [0b10100000]),
        ([1] * 9, [0xFF, 0x80]),
        ([0, -0.0, 1e-9], [0b00100000]),
    ],
)
def test_binary_has_the_first_value_in_the_highest_bit(values: list[float], bits: list[int]) -> None:
    assert list(packed(np.array(values, np.float32), Encoding.BINARY)) == bits


def test_floats_are_not_packed() -> None:
    assert packed(np.ones(3, np.float32), Encoding.FLOAT) == b""
