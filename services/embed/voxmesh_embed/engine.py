"""What a model must offer to be served: vectors of texts, or scores of documents for queries.

    voxmesh_runtime.engine.Engine   the loaded model, shared by all streams
     ├─ EmbeddingEngine   one step embeds texts of many streams
     └─ RankingEngine     one step scores documents of many streams

An engine of either kind may have a method `interrupt(items)`: the service calls it on another thread
with the very texts or pairs of a step in progress when nobody waits for any of them any more; the
step may then end early, with any error.

Threads and entry points: see `voxmesh_runtime.engine`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from voxmesh_runtime import engine
from voxmesh_runtime.engine import ModelFacts
from voxmesh_runtime.host import EngineHost

Values: TypeAlias = npt.NDArray[np.float32]
"""A vector, shape (dimensions,)."""

RANKING_ENGINES = ("qwen_reranker", "cross_encoder")
"""Engines of this project that rank; all others embed."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What the loaded model is and can do."""

    facts: ModelFacts
    max_tokens: int
    """Longest text, or query with a document, in tokens; the end of a longer one is left out."""
    dimensions: int = 0
    """Length of the model's own vectors; 0 before it is loaded, and for a model that ranks."""
    ranks: bool = False
    """The model scores documents for queries; one that does not gives vectors."""
    shorter_dimensions: bool = False
    """The first values of a vector are a vector with nearly the same meaning (Matryoshka training)."""
    instruction: bool = False
    """Queries are read with what they are for."""
    tokens_around: int = 2
    """Tokens that each text, or query with a document, costs beside its own: the model's marks and its prompt."""
    max_batch_tokens: int = 512
    """Tokens of one step, about: more gain little, and a small request waits for the step in progress."""


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

    @property
    def parts(self) -> tuple[str, ...]:
        """All that the model reads."""
        return self.content, self.instruction


@dataclass(frozen=True, slots=True)
class Vector:
    """The vector of one text."""

    values: Values
    """Of unit length, in the model's own dimensions."""
    token_count: int
    """Tokens of the text that were read."""
    truncated: bool = False
    """The text was longer than that."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A document to score for a query, 1 to 100,000 and 1 to 10,000 characters."""

    query: str
    document: str
    instruction: str = ""
    """What makes a document a good answer; empty when nobody said."""

    @property
    def parts(self) -> tuple[str, ...]:
        """All that the model reads."""
        return self.query, self.document, self.instruction


@dataclass(frozen=True, slots=True)
class Score:
    """How well one document answers."""

    value: float
    """In [0, 1]; 1 is best."""
    token_count: int
    """Tokens of query and document that were read."""
    truncated: bool = False
    """The document was longer than that."""


class EmbeddingEngine(engine.Engine[EngineInfo], Protocol):
    """A model that gives vectors."""

    def embed(self, texts: Sequence[Text]) -> Sequence[Vector]:
        """The vectors of texts of any streams and lengths, in their order; about `max_batch_tokens` of them.

        Raises:
            SomeFailed: for some of the texts there is no vector.
        """
        ...


class RankingEngine(engine.Engine[EngineInfo], Protocol):
    """A model that ranks."""

    def score(self, pairs: Sequence[Pair]) -> Sequence[Score]:
        """The scores of pairs of any streams and lengths, in their order; about `max_batch_tokens` of them.

        Raises:
            SomeFailed: for some of the pairs there is no score.
        """
        ...


Host: TypeAlias = EngineHost[Any, EngineInfo]
"""Owns a service's engine, which embeds or ranks."""
