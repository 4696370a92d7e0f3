"""Tesseract text reading on CPU."""

from __future__ import annotations

from voxmesh_runtime.engine import EngineContext
from voxmesh_vlm.engine import Engine
from voxmesh_vlm_tesseract.engine import TesseractEngine


def create(context: EngineContext) -> Engine:
    """The engine, not yet loaded."""
    return TesseractEngine(context)


__all__ = ["create"]
