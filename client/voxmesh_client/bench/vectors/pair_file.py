"""Queries with the documents that answer them, of a file that ships with the client or of the caller's own."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from voxmesh_client.bench.data_file import read_data

SHIPPED = Path(__file__).with_name("pairs")
"""Folder of the files that `voxmesh bench embed` knows by name."""

_PASSAGE = 4
"""Documents of one long text."""


class Pair(BaseModel):
    """A query and what answers it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    query: str = Field(min_length=1)
    document: str = Field(min_length=1)


class Pairs(BaseModel):
    """All pairs of a file; no document answers another's query."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    language: str = ""
    pairs: tuple[Pair, ...] = Field(min_length=2)

    @property
    def queries(self) -> list[str]:
        """The queries, in order."""
        return [each.query for each in self.pairs]

    @property
    def documents(self) -> list[str]:
        """The documents, in the order of their queries."""
        return [each.document for each in self.pairs]

    def texts(self) -> Iterator[str]:
        """Texts without end, each another one: a query, a document and a passage of several in turn."""
        for number in count():
            begin = number % len(self.pairs)
            pair = self.pairs[begin]
            passage = " ".join(self.pairs[(begin + each) % len(self.pairs)].document for each in range(_PASSAGE))
            yield f"{(pair.query, pair.document, passage)[number % 3]} ({number})"


def read_pairs(name: str) -> Pairs:
    """The pairs of a TOML file, or of one that ships with the client, by its name.

    Raises:
        BenchUsage: there is no such file, or it is wrong; the message names the place in it.
    """
    return read_data(name, SHIPPED, Pairs)[0]
