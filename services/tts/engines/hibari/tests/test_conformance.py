"""Hibari passes the suite of its slot."""

from __future__ import annotations

import pytest

from voxmesh_testing.tts import TtsConformance

pytestmark = pytest.mark.engine


class TestHibari(TtsConformance):
    """Hibari with the voice in its package."""

    engine = "hibari"
