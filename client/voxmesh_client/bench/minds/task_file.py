"""Tasks for language models: what is asked, and what a right answer holds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from voxmesh_client.bench.data_file import read_data

SHIPPED = Path(__file__).with_name("tasks")
"""Folder of the files that `voxmesh bench llm` knows by name."""


class Task(BaseModel):
    """One question of one task; see the comments of `tasks/seed.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str = Field(min_length=1)
    system: str = ""
    prompt: str = Field(min_length=1)
    answer_schema: dict[str, Any] | None = Field(default=None, alias="schema")
    fields: dict[str, tuple[str, ...]] = {}
    facts: tuple[tuple[str, ...], ...] = ()
    forbidden: tuple[str, ...] = ()
    most_words: int | None = Field(default=None, ge=1)
    max_tokens: int = Field(default=256, ge=1)

    @field_validator("answer_schema", mode="before")
    @classmethod
    def _parsed(cls, schema: Any) -> Any:
        """A schema is written as JSON: TOML has no null and no way to nest that anyone could read."""
        return json.loads(schema) if isinstance(schema, str) else schema

    @model_validator(mode="after")
    def _check(self) -> Self:
        if bool(self.fields) == bool(self.facts):
            raise ValueError(f"{self.task}: must have either fields or facts")
        if bool(self.fields) != (self.answer_schema is not None):
            raise ValueError(f"{self.task}: fields and schema belong together")
        return self


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    tasks: tuple[Task, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class TaskSet:
    """All questions of a file."""

    name: str
    tasks: tuple[Task, ...]

    @property
    def names(self) -> list[str]:
        """Names of the tasks, in order."""
        return list(dict.fromkeys(each.task for each in self.tasks))


def read_tasks(name: str) -> TaskSet:
    """The tasks of a TOML file, or of one that ships with the client, by its name.

    Raises:
        BenchUsage: there is no such file, or it is wrong; the message names the place in it.
    """
    return TaskSet(name, read_data(name, SHIPPED, _File)[0].tasks)
