"""Pictures with what is asked about them and what a right answer holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from voxmesh_client.bench.data_file import read_data
from voxmesh_client.bench.problems import BenchUsage

SHIPPED = Path(__file__).with_name("cases")
"""Folder of the files that `voxmesh bench vlm` knows by name."""


class Case(BaseModel):
    """One task; see the comments of `cases/seed.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    about: str
    picture: Path
    task: Literal["read_text", "answer"]
    prompt: str = Field(min_length=1)
    languages: tuple[str, ...] = ()
    right_from: float = Field(gt=0, le=1)
    answer_schema: dict[str, Any] | None = Field(default=None, alias="schema")
    lines: tuple[str, ...] = ()
    fields: dict[str, tuple[str, ...]] = {}
    facts: tuple[tuple[str, ...], ...] = ()

    @field_validator("answer_schema", mode="before")
    @classmethod
    def _parsed(cls, schema: Any) -> Any:
        """A schema is written as JSON: TOML has no null and no way to nest that anyone could read."""
        return json.loads(schema) if isinstance(schema, str) else schema

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sum(map(bool, (self.lines, self.fields, self.facts))) != 1:
            raise ValueError(f"{self.name}: must have exactly one of lines, fields, facts")
        if bool(self.fields) != (self.answer_schema is not None):
            raise ValueError(f"{self.name}: fields and schema belong together")
        if self.task == "read_text" and not self.lines:
            raise ValueError(f"{self.name}: who reads text must be compared with lines")
        return self


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    cases: tuple[Case, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class CaseSet:
    """All cases of a file with their pictures."""

    name: str
    cases: Sequence[Case]
    images: Sequence[bytes]
    """Files of the pictures, one for each case."""


def read_cases(name: str) -> CaseSet:
    """The cases of a TOML file, or of one that ships with the client, by its name.

    Raises:
        BenchUsage: there is no such file, it is wrong, or a picture cannot be read.
    """
    file, path = read_data(name, SHIPPED, _File)
    try:
        return CaseSet(name, file.cases, [(path.parent / case.picture).read_bytes() for case in file.cases])
    except OSError as error:
        raise BenchUsage(f"{path}: cannot read the picture {error.filename}: {error.strerror}") from None
