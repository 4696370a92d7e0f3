"""Refusals name engines that exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from voxmesh_embed.engine import RANKING_ENGINES

pytestmark = pytest.mark.unit

ENGINES = Path(__file__).parent.parent / "engines"


def test_the_engines_that_refusals_name_rank_and_no_other_does() -> None:
    ranks = {path.parents[1].name for path in ENGINES.glob("*/*/engine.py") if "ranks=True" in path.read_text()}
    assert ranks == set(RANKING_ENGINES)
