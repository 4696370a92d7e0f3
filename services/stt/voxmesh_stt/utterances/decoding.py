"""What a session asks of its engine, and what it gets."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Generic, TypeVar

from voxmesh_runtime.audio import Samples
from voxmesh_stt.engine import Transcript, Word

StateT = TypeVar("StateT")


@dataclass(frozen=True, slots=True)
class DecodeRequest(Generic[StateT]):
    """Speech to decode: 16 kHz, from just before its first voiced frame."""

    state: StateT
    """What the engine attached to the stream when it opened it."""
    utterance: int
    """Number of the utterance in its stream. Requests with the same number begin with the same
    samples; each is longer than the one before, or shorter once, when a long utterance is cut."""
    samples: Samples
    is_final: bool
    """The text may be served as final; otherwise it is an interim one, soon replaced."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """The text of a request; word times in seconds from its first sample."""

    text: str
    words: tuple[Word, ...] = ()
    confidence: float | None = None
    language_code: str = ""


Work = Generator[DecodeRequest[StateT], Hypothesis, list[Transcript]]
"""What a session does with new audio: it asks for decodes, gets their hypotheses and returns transcripts."""
