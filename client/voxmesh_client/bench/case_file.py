"""Files of biasing cases: contexts, clips with a term in them, and controls that must stay as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from voxmesh.stt.v1 import stt_pb2
from voxmesh_client.bench.clip import Clip
from voxmesh_client.bench.corpus import complete
from voxmesh_client.bench.data_file import read_data

SHIPPED = Path(__file__).with_name("cases")
"""Folder of the files that `voxmesh bench biasing` knows by name."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PhraseCase(_Part):
    """A term to favour and how much."""

    text: str
    boost: float | None = None


class ContextCase(_Part):
    """What a caller tells the service."""

    phrases: tuple[str | PhraseCase, ...] = ()
    context: str = ""

    @property
    def is_empty(self) -> bool:
        """True when it tells nothing."""
        return not self.phrases and not self.context

    def biasing(self) -> stt_pb2.Biasing:
        """It as the contract has it."""
        phrases = (PhraseCase(text=each) if isinstance(each, str) else each for each in self.phrases)
        return stt_pb2.Biasing(
            phrases=[stt_pb2.Phrase(text=each.text, boost=each.boost) for each in phrases], context=self.context
        )


class ControlCase(_Part):
    """A recording that must be heard as without context."""

    audio: Path
    text: str
    language: str = ""


class ClipCase(ControlCase):
    """A recording whose term should be heard."""

    term: str = Field(min_length=1)


class Cases(_Part):
    """All cases of a file."""

    language: str = "en"
    contexts: dict[str, ContextCase]
    clips: tuple[ClipCase, ...] = Field(min_length=1)
    controls: tuple[ControlCase, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sum(each.is_empty for each in self.contexts.values()) != 1:
            raise ValueError("exactly one of the contexts must tell nothing, such as [contexts.none]")
        return self

    @property
    def plain(self) -> str:
        """Name of the context that tells nothing."""
        return next(name for name, each in self.contexts.items() if each.is_empty)

    def clip(self, case: ControlCase, path: Path) -> Clip:
        """The recording of a case in the file at `path`.

        Raises:
            CorpusError: it cannot be opened.
        """
        clip = Clip(path.parent / case.audio, case.text, source=str(path), language=case.language)
        return complete(clip, self.language)


def read_cases(name: str) -> tuple[Cases, Path]:
    """The cases of a file, or of one that ships with the client, by its name; and the file's path.

    Raises:
        BenchUsage: there is no such file, or it is wrong; the message names the place in it.
    """
    return read_data(name, SHIPPED, Cases)
