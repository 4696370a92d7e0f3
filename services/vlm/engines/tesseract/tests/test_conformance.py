"""Tesseract passes the suite of its slot."""

from __future__ import annotations

import pytest

from voxmesh_testing.vlm import VlmConformance

pytestmark = pytest.mark.engine


class TestTesseract(VlmConformance):
    """Tesseract with the data of its packages, and its own for Kannada."""

    engine = "tesseract"
