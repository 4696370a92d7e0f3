"""What an embedding model must offer to be served.

    Engine   the loaded model, shared by all streams; one step embeds texts of many of them

Threads and entry points: see `voxmesh_runtime.engine`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from voxmesh_runtime import engine
from voxmesh_runtime.engine import ModelFacts
from voxmesh_runtime.host import EngineHost

Values: TypeAlias = npt.NDArray[np.float32]
"""A vector, shape (dimensions,)."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What the loaded model is and can do."""

    facts: ModelFacts
    dimensions: int
    """Length of the model's own vectors."""
    max_tokens: int
    """Longest text in tokens; the end of a longer one is left out."""
    shorter_dimensions: bool = False
    """The first values of a vector are a vector with nearly the same meaning (Matryoshka training)."""
    instruction: bool = False
    """Queries are read with what they are for."""
    max_batch_size: int = 8
    """Texts of one step: more gain little, and a small request waits for the step in progress."""


class Kind(Enum):
    """What a text is."""

    QUERY = "query"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class Text:
    """A text to embed, 1 to 100,000 characters."""

    content: str
    kind: Kind = Kind.DOCUMENT
    instruction: str = ""
    """What queries are for; empty when nobody said, and always for documents."""


@dataclass(frozen=True, slots=True)
class Vector:
    """The vector of one text."""

    values: Values
    """Of unit length, in the model's own dimensions."""
    token_count: int
    """Tokens of the text that were read."""
    truncated: bool = False
    """The text was longer than that."""


class Engine(engine.Engine[EngineInfo], Protocol):
    """The loaded model."""

    def embed(self, texts: Sequence[Text]) -> Sequence[Vector]:
        """The vectors of 1 to `max_batch_size` texts of any streams, in their order."""
        ...


Host: TypeAlias = EngineHost[Engine, EngineInfo]
"""Owns a service's engine."""
