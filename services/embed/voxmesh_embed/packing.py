"""Vectors in fewer bytes, as the contract's encodings say."""

from __future__ import annotations

from enum import Enum

import numpy as np

from voxmesh_embed.engine import Values


class Encoding(Enum):
    """How the values of a vector are sent."""

    FLOAT = "float"
    INT8 = "int8"
    BINARY = "binary"


def packed(values: Values, encoding: Encoding) -> bytes:
    """The vector as `Embedding.packed`; empty for FLOAT."""
    match encoding:
        case Encoding.FLOAT:
            return b""
        case Encoding.INT8:
            # A vector without any direction is sent as one.
            largest = max(float(np.abs(values).max()), float(np.finfo(np.float32).tiny))
            return np.rint(127 * (values / largest)).astype(np.int8).tobytes()
        case Encoding.BINARY:
            return np.packbits(values > 0).tobytes()
