"""A library is imported without what it does not need, and nothing of that is left behind."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from importlib.util import find_spec

import pytest

from voxmesh_runtime.stand_ins import stand_ins

pytestmark = pytest.mark.unit

ABSENT = {"no_such": {}, "no_such.inner": {"answer": 42}}


def test_a_module_that_is_not_installed_can_be_imported_with_what_is_in_it() -> None:
    with stand_ins(ABSENT):
        inner = import_module("no_such.inner")
        assert inner.answer == 42
        assert import_module("no_such").inner is inner
        assert find_spec("no_such") is not None
    assert not {"no_such", "no_such.inner"} & sys.modules.keys()


def test_a_module_that_is_there_comes_back_whatever_happens() -> None:
    with pytest.raises(AttributeError):
        _use_an_empty("json")
    assert import_module("json") is json


def _use_an_empty(name: str) -> None:
    with stand_ins({name: {}}):
        import_module(name).loads("1")
