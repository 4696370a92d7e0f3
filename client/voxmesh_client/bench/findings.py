"""What the benchmarks of all slots find: a target's outcome, and figures by name with where each was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from google.protobuf.json_format import MessageToDict

from voxmesh.common.v1 import common_pb2

Figures: TypeAlias = "dict[str, float | None]"
"""Values by name with units in the names; None is not measured."""


@dataclass(slots=True)
class TargetOutcome:
    """What became of one target; each benchmark adds what it measures."""

    name: str
    model: common_pb2.ModelInfo = field(default_factory=common_pb2.ModelInfo)
    load_s: float | None = None
    """From its start until it served; None when it ran already, or does not serve."""
    problem: str = ""
    """Why it does not serve; empty when it does."""

    @property
    def load_figures(self) -> Figures:
        """Whether it loads, and how long that takes."""
        return {"loads": 0 if self.problem else 1, "load_s": self.load_s}

    def to_json(self) -> dict[str, Any]:
        """It for a program."""
        model = MessageToDict(self.model, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
        return {"name": self.name, "model": model, "problem": self.problem}


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of one pass."""

    where: Mapping[str, int | str]
    """What sets the pass apart: its number of `streams`, its `pace`, its `batch`."""
    figures: Figures


@dataclass(frozen=True, slots=True)
class Findings:
    """All figures of a target, as gates judge them."""

    name: str
    figures: Figures
    """Over everything that was done with it."""
    passes: Sequence[Measured]


def percentile(values: Sequence[float], percent: float) -> float | None:
    """A percentile, between the values where it falls between them; None of no values."""
    return float(np.percentile(values, percent)) if values else None


def waits(name: str, values: Sequence[float]) -> Figures:
    """The median and the 95th percentile of waits in seconds, as `<name>_p50_s` and `<name>_p95_s`."""
    return {f"{name}_p{percent}_s": percentile(values, percent) for percent in (50, 95)}
