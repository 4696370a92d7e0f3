"""Texts to be spoken, of a file that ships with the client or of the caller's own."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from voxmesh_client.bench.data_file import read_data
from voxmesh_runtime.language_tags import UnknownLanguage, canonical

SHIPPED = Path(__file__).with_name("texts")
"""Folder of the files that `voxmesh bench tts` knows by their language."""

_LETTERS_A_DIGIT = 4
"""A digit is spoken as a word of about this many letters."""


class Line(BaseModel):
    """One text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str = Field(min_length=1)
    heard: tuple[str, ...] = ()
    """Other ways in which a recogniser may rightly write what it hears."""

    @property
    def letters(self) -> int:
        """Letters that are spoken, each digit as a word of 4; signs that belong to a letter are none."""
        kinds = [unicodedata.category(character) for character in self.text]
        return sum(kind[0] == "L" for kind in kinds) + _LETTERS_A_DIGIT * sum(kind == "Nd" for kind in kinds)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    language: str
    seconds_per_letter: tuple[float, float]
    texts: tuple[Line, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        least, most = self.seconds_per_letter
        if not 0 < least < most:
            raise ValueError("seconds_per_letter must be [LEAST, MOST], both above 0")
        try:
            canonical(self.language)
        except UnknownLanguage as error:
            raise ValueError(str(error)) from None
        return self


@dataclass(frozen=True, slots=True)
class TextSet:
    """Texts in one language."""

    name: str
    language: str
    """BCP-47 tag."""
    seconds_per_letter: tuple[float, float]
    """Between these a plausible voice speaks, from the fastest to the slowest."""
    lines: tuple[Line, ...]


def read_texts(name: str, limit: int | None = None) -> TextSet:
    """The texts of a TOML file, or of one that ships with the client, by its language.

    Args:
        name: a path, or a language such as "en".
        limit: take this many, spread over the file, so that all lengths stay in; None takes all.

    Raises:
        BenchUsage: there is no such file, or it is wrong; the message names the place in it.
    """
    file, _ = read_data(name, SHIPPED, _File)
    return TextSet(name, canonical(file.language), file.seconds_per_letter, _spread(file.texts, limit))


def _spread(lines: tuple[Line, ...], limit: int | None) -> tuple[Line, ...]:
    count = len(lines) if limit is None else min(limit, len(lines))
    return tuple(lines[index * len(lines) // count] for index in range(count))
