"""What a reply needs of a language model and of a voice; who serves it, and how often that changes, is their affair.

LanguageModel.generate ──► Served, Written ..., Generated
Voice.speak: say, end   ──► Served, SpokenAudio | SpokenWord ..., Spoken

`Served` comes first, and again when another backend goes on with the work; nothing else shows that.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from voxmesh.common.v1 import common_pb2
from voxmesh.llm.v1 import llm_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh_routing.replays.synthesis import Begun


@dataclass(frozen=True, slots=True)
class Served:
    """This backend has the work now."""

    by: common_pb2.Ready
    sent_ns: int
    """It was sent to it no earlier, by the wall clock in nanoseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Written:
    """The next piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Generated:
    """The answer is complete, with the calls that it asks for."""

    calls: Sequence[llm_pb2.ToolCall]
    reason: int
    """`llm.v1.Finished.Reason`."""
    timing: common_pb2.Timing


GenerationEvent: TypeAlias = Served | Written | Generated


class LanguageModel(Protocol):
    """Answers conversations."""

    def generate(self, request: llm_pb2.Generate, /) -> AbstractAsyncContextManager[AsyncIterable[GenerationEvent]]:
        """One answer, `Generated` last; leaving it before its end cancels it.

        Raises:
            ServiceFailed: the model refuses it, or none can be reached; from the iterator, too.
        """
        ...

    def prefill(self, request: llm_pb2.Generate, /) -> None:
        """Let the model read what the next answer will most likely begin with."""
        ...


@dataclass(frozen=True, slots=True)
class SpokenAudio:
    """The next piece of the reply's audio, by its place in the reply."""

    piece: session_pb2.SpokenPiece
    data: bytes


@dataclass(frozen=True, slots=True)
class Spoken:
    """All of it is spoken."""

    timing: common_pb2.Timing


SpeechEvent: TypeAlias = Served | SpokenAudio | session_pb2.SpokenWord | Spoken
"""A word tells where the next one lies in the reply's audio."""


class Voice(Protocol):
    """Speaks replies, one at a time."""

    async def is_there(self) -> bool:
        """Whether replies can be spoken just now; takes no time where it is known that they cannot."""
        ...

    def speak(
        self, parent: common_pb2.TraceContext, begun: Begun | None = None, /
    ) -> AbstractAsyncContextManager[AsyncIterable[SpeechEvent]]:
        """Speak one reply, in its own offsets and characters, `Spoken` last; leaving it before its end cancels it.

        Raises:
            ServiceFailed: from the iterator; the voice refuses it, or none can be reached: the rest is not spoken.
        """
        ...

    def say(self, text: str, /) -> None:
        """Append text to the reply that is spoken; audio comes out while more goes in."""
        ...

    def end(self) -> None:
        """The text of the reply is complete."""
        ...
