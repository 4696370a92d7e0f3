"""Values that come as Structs reach the model as the caller's JSON."""

from __future__ import annotations

import json

import pytest

from voxmesh_llm_proxy.structs import plain
from voxmesh_testing.llm import struct

pytestmark = pytest.mark.unit


def test_whole_numbers_are_integers_and_the_order_is_always_the_same() -> None:
    value = struct(minItems=2, items=[1, {"b": 0.5, "a": -3}], anyOf=None, title="x")
    assert json.dumps(plain(value)) == '{"anyOf": null, "items": [1, {"a": -3, "b": 0.5}], "minItems": 2, "title": "x"}'


def test_numbers_beyond_exact_integers_stay_as_they_are() -> None:
    assert json.dumps(plain(struct(x=1e300))) == '{"x": 1e+300}'
