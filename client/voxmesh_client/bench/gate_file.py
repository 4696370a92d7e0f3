"""Files of go/no-go gates: which figure of a benchmark must keep which limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from voxmesh_client.bench.data_file import read_data

SHIPPED = Path(__file__).with_name("gates")
"""Folder of the files that `--gates` knows by name."""

_LIMITS = ("below", "at_most", "above", "at_least", "gain_above")


class Gate(BaseModel):
    """One limit; see the comments of `gates/seed.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = ""
    metric: str
    below: float | None = None
    at_most: float | None = None
    above: float | None = None
    at_least: float | None = None
    gain_above: float | None = None
    streams: int | None = Field(default=None, ge=1)
    pace: Literal["fast", "real-time"] | None = None
    batch: int | None = Field(default=None, ge=1)

    @field_validator("metric")
    @classmethod
    def _is_known(cls, metric: str, info: ValidationInfo) -> str:
        known: Sequence[str] = info.context or ()
        if metric not in known:
            raise ValueError(f"no metric {metric!r}; known: {', '.join(known)}")
        return metric

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sum(getattr(self, limit) is not None for limit in _LIMITS) != 1:
            raise ValueError(f"must have exactly one of {', '.join(_LIMITS)}")
        return self

    @property
    def limit(self) -> tuple[str, float]:
        """Its kind and its value."""
        return next((kind, value) for kind in _LIMITS if (value := getattr(self, kind)) is not None)

    @property
    def where(self) -> Mapping[str, int | str]:
        """Which passes it is about, as `Measured.where`; empty is about all."""
        told = {"streams": self.streams, "pace": self.pace, "batch": self.batch}
        return {name: value for name, value in told.items() if value is not None}

    def keeps(self, value: float) -> bool:
        """True when a figure, or a gain, keeps the limit."""
        match self.limit:
            case "below", limit:
                return value < limit
            case "at_most", limit:
                return value <= limit
            case "at_least", limit:
                return value >= limit
            case _, limit:
                return value > limit

    @property
    def wants_less(self) -> bool:
        """True when a lower value is better."""
        return self.limit[0] in {"below", "at_most"}

    def __str__(self) -> str:
        kind, value = self.limit
        where = [value if isinstance(value, str) else f"{value} {name}" for name, value in self.where.items()]
        return " ".join([self.metric, kind.replace("_", " "), f"{value:g}", *(f"({each})" for each in where)])


class Gates(BaseModel):
    """All gates of a file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    conditional_from: int | None = Field(default=None, ge=1)
    """At least this many gates met, but not all, is conditional; unset knows go and no-go alone."""
    gates: tuple[Gate, ...] = Field(min_length=1)

    @property
    def needs_baseline(self) -> bool:
        """True when one compares with the baseline."""
        return any(gate.gain_above is not None for gate in self.gates)


def read_gates(name: str, metrics: Sequence[str]) -> Gates:
    """The gates of a file, or of one that ships with the client, by its name.

    Args:
        name: of the file.
        metrics: figures that the benchmark has.

    Raises:
        BenchUsage: there is no such file, or it is wrong; the message names the place in it.
    """
    return read_data(name, SHIPPED, Gates, option="--gates", context=tuple(metrics))[0]
