"""RapidOCR text reading on CPU."""

from __future__ import annotations

from voxmesh_runtime.engine import EngineContext
from voxmesh_vlm.engine import Engine
from voxmesh_vlm_rapidocr.engine import RapidOcrEngine


def create(context: EngineContext) -> Engine:
    """The engine, not yet loaded.

    Raises:
        FailedPrecondition: another model than the one in the package is wanted.
    """
    return RapidOcrEngine(context)
