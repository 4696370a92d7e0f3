"""Vectors in a server's answer: in the order of the texts, of the right length, finite, and of unit length here."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from voxmesh_embed.engine import Values
from voxmesh_runtime.upstreams import ServerFailure


@dataclass(frozen=True, slots=True)
class Answer:
    """Vectors of several texts."""

    vectors: Sequence[Values]
    token_count: int
    """Of all texts together; 0 when the server does not say."""


def answer_of(body: Any, texts: int, dimensions: int | None) -> Answer:
    """The answer to `texts` texts in a JSON body.

    Args:
        body: as it came.
        texts: how many were asked for.
        dimensions: of every vector; None takes those of the first.

    Raises:
        ServerFailure: a vector is missing, too much, of another length, not finite, or has no direction.
    """
    items = body.get("data") if isinstance(body, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ServerFailure("the server answered no list of vectors")
    ordered = _in_order(cast("list[dict[str, Any]]", items), texts)
    vectors = [_values(item.get("embedding")) for item in ordered]
    wanted = dimensions or len(vectors[0])
    for vector in vectors:
        if len(vector) != wanted:
            raise ServerFailure(f"the server answered a vector of {len(vector)} values, not {wanted}")
    return Answer([_unit(vector) for vector in vectors], _token_count(cast("dict[str, Any]", body)))


def _in_order(items: list[dict[str, Any]], texts: int) -> list[dict[str, Any]]:
    """By `index`; a server that gives none means the order of the texts."""
    indices = [item.get("index") for item in items]
    if all(index is None for index in indices):
        indices = list(range(len(items)))
    places = {index: item for index, item in zip(indices, items, strict=True) if isinstance(index, int)}
    if len(items) != texts or set(places) != set(range(texts)):
        raise ServerFailure(f"the server answered {len(items)} vectors for {texts} texts, or numbered them wrongly")
    return [places[index] for index in range(texts)]


def _values(embedding: Any) -> Values:
    if isinstance(embedding, str):
        return _from_base64(embedding)
    try:
        values = np.asarray(embedding, np.float32)
    except (TypeError, ValueError, OverflowError):
        raise ServerFailure("the server answered a vector that holds other things than numbers") from None
    if values.ndim != 1 or not len(values):
        raise ServerFailure("the server answered something else than one vector for a text")
    return values


def _from_base64(text: str) -> Values:
    try:
        data = base64.b64decode(text, validate=True)
        return np.frombuffer(data, "<f4")
    except (binascii.Error, ValueError):
        raise ServerFailure("the server answered a vector whose base64 is broken") from None


def _unit(vector: Values) -> Values:
    if not np.isfinite(vector).all():
        raise ServerFailure("the server answered a vector that is not finite")
    # Scaled first, so that the squares of the largest do not overflow.
    largest = float(np.abs(vector).max())
    if not largest:
        raise ServerFailure("the server answered a vector without a direction, all zeros")
    scaled = vector.astype(np.float64) / largest
    return (scaled / np.linalg.norm(scaled)).astype(np.float32)


def _token_count(body: dict[str, Any]) -> int:
    usage = body.get("usage")
    count = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return count if isinstance(count, int) and count > 0 else 0
