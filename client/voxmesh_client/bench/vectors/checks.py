"""What vectors are worth: do queries find their documents, and do shorter encodings keep the order."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Vectors: TypeAlias = npt.NDArray[np.float32]
"""One vector a row, shape (texts, dimensions)."""
Scores: TypeAlias = npt.NDArray[np.float32]
"""How near each query is to each document, shape (queries, documents); more is nearer."""


def cosines(queries: Vectors, documents: Vectors) -> Scores:
    """Cosines of all queries with all documents; 0 for a vector of zeros."""
    return _unit(queries) @ _unit(documents).T


def recall_at_1(scores: Scores) -> float:
    """Share of queries whose own document, the one of the same place, is the nearest."""
    return float(np.mean(scores.argmax(axis=1) == np.arange(len(scores))))


def agreement_at_1(scores: Scores, reference: Scores) -> float:
    """Share of queries for which both find the same document nearest."""
    return float(np.mean(scores.argmax(axis=1) == reference.argmax(axis=1)))


def largest_difference(one: Vectors, other: Vectors) -> float:
    """The largest difference of any two values."""
    return float(np.abs(one - other).max())


def least_cosine(one: Vectors, other: Vectors) -> float:
    """The least cosine of two vectors in the same place."""
    return float((_unit(one) * _unit(other)).sum(axis=1).min())


def int8_vectors(packed: list[bytes]) -> Vectors:
    """Vectors of signed bytes, as ENCODING_INT8 packs them."""
    return np.stack([np.frombuffer(each, np.int8) for each in packed]).astype(np.float32)


def binary_vectors(packed: list[bytes]) -> Vectors:
    """Vectors of 1 and -1, as ENCODING_BINARY packs them; their cosines order as Hamming distances do."""
    bits = np.unpackbits(np.stack([np.frombuffer(each, np.uint8) for each in packed]), axis=1)
    return bits.astype(np.float32) * 2 - 1


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
