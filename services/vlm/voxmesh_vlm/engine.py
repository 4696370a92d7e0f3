"""What a model that looks at pictures must offer to be served.

    Engine   the loaded model, shared by all streams
     └─ analyze   an iterator of TextDelta | TextLine | Structured | Truncated, one analysis

Threads and entry points: see `voxmesh_runtime.engine`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from voxmesh_runtime import engine
from voxmesh_runtime.engine import ModelFacts
from voxmesh_runtime.host import EngineHost

Picture: TypeAlias = npt.NDArray[np.uint8]
"""RGB, shape (height, width, 3), upright as its file says."""


class Task(Enum):
    """What to do with pictures."""

    READ_TEXT = "read_text"
    """Find the lines of text and read them."""
    ANSWER = "answer"
    """Do what the prompt asks; an empty one asks for a description."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What the loaded model is and can do."""

    facts: ModelFacts
    tasks: frozenset[Task]
    structured_results: bool = False
    """Keeps a JSON Schema."""
    alternatives: tuple[str, ...] = ()
    """Engines of this project that can do what this one cannot; empty where there are none."""
    max_batch_size: int = 1
    """Analyses that one step may hold; above 1 the engine is a `BatchingEngine`."""


@dataclass(frozen=True, slots=True, eq=False)
class AnalysisRequest:
    """One thing asked about 1 to 8 pictures; checked against the contract and `EngineInfo`."""

    pictures: tuple[Picture, ...]
    task: Task
    prompt: str = ""
    response_schema: dict[str, Any] | None = None
    """JSON Schema; None means free text."""
    max_output_tokens: int = 1024
    """Longest answer; lines of text that are read have no tokens."""


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of an answer."""

    text: str


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of text in a picture."""

    picture: int
    """Its index in the request."""
    text: str
    corners: tuple[tuple[float, float], ...]
    """(x, y) in pixels of the picture, clockwise from the text's top left; 4 of them."""
    confidence: float | None = None
    """In (0, 1]."""


@dataclass(frozen=True, slots=True)
class Structured:
    """The whole answer, valid by the response schema."""

    value: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Truncated:
    """The limit of tokens cut the answer; the last output."""


Output: TypeAlias = TextDelta | TextLine | Structured | Truncated
Analysis: TypeAlias = Iterator[Output]


class Engine(engine.Engine[EngineInfo], Protocol):
    """The loaded model."""

    def analyze(self, request: AnalysisRequest) -> Analysis:
        """The outputs of one analysis, each as soon as it is there.

        A generator is closed when the caller cancels; between two of its outputs those of other
        streams may be made.
        """
        ...


class BatchingEngine(Engine, Protocol):
    """An engine that makes the next outputs of several analyses at once."""

    def step(self, analyses: Sequence[Analysis]) -> Sequence[Output | None]:
        """The next output of each of 1 to `max_batch_size` analyses; None where one is over.

        Args:
            analyses: what `analyze` gave.

        Raises:
            SomeFailed: of `voxmesh_runtime.batcher`; the others' outputs are in it.
        """
        ...


Host: TypeAlias = EngineHost[Engine, EngineInfo]
"""Owns a service's engine."""
