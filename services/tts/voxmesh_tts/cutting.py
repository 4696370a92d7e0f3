"""How a stream's text becomes clauses: checked, cut and read, as plain text or as SSML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from voxmesh.tts.v1 import tts_pb2
from voxmesh_runtime.errors import InvalidArgument
from voxmesh_runtime.language_tags import best_match, canonical
from voxmesh_runtime.outcomes import Outcome, applied, approximated
from voxmesh_tts.clauses import Clause, ClauseCutter
from voxmesh_tts.engine import EngineInfo, SynthesisOptions
from voxmesh_tts.reading import Reader
from voxmesh_tts.ssml import SERVICE_ELEMENTS, SsmlCutter
from voxmesh_tts.texts import SegmentTextGuard

_FIELD = "config.text_format"
_Format = tts_pb2.SynthesisConfig


class Cutter(Protocol):
    """Takes one segment's text in pieces of any size."""

    def feed(self, text: str) -> list[Clause]:
        """Clauses that `text` completes.

        Raises:
            InvalidArgument: it must not be spoken.
        """
        ...

    def flush(self) -> list[Clause]:
        """The last clauses, at the end of the segment.

        Raises:
            InvalidArgument: the text is not complete.
        """
        ...


@dataclass(frozen=True, slots=True)
class Cutting:
    """What the segments of one stream have in common."""

    reader: Reader
    info: EngineInfo
    is_ssml: bool

    def cutter(self, *, continues: bool) -> Cutter:
        """A cutter for a new segment; one that `continues` speech begins in mid-speech."""
        limits = self.info.clause_limits
        if self.is_ssml:
            cutter = SsmlCutter(limits, self.reader, ssml_elements(self.info), continues=continues)
        else:
            cutter = ClauseCutter(limits, self.reader.read, continues=continues)
        return _GuardedCutter(cutter, SegmentTextGuard(markup=self.is_ssml))


class _GuardedCutter:
    """Checks the text before it is cut."""

    def __init__(self, cutter: Cutter, guard: SegmentTextGuard) -> None:
        self._cutter = cutter
        self._guard = guard

    def feed(self, text: str) -> list[Clause]:
        """Clauses that `text` completes."""
        self._guard.check(text)
        return self._cutter.feed(text)

    def flush(self) -> list[Clause]:
        """The last clauses."""
        return self._cutter.flush()


def cutting(config: tts_pb2.SynthesisConfig, options: SynthesisOptions, info: EngineInfo) -> Cutting:
    """How the text of a stream with a checked config becomes clauses.

    Raises:
        InvalidArgument: a text format that is not in the contract.
    """
    known = (_Format.TEXT_FORMAT_UNSPECIFIED, _Format.TEXT_FORMAT_PLAIN, _Format.TEXT_FORMAT_SSML)
    if config.text_format not in known:
        raise InvalidArgument(_FIELD, f"{config.text_format} is no text format; write TEXT_FORMAT_PLAIN or _SSML")
    reader = Reader(_text_language(config, options), marks_only=info.reads_numbers)
    return Cutting(reader, info, config.text_format == _Format.TEXT_FORMAT_SSML)


def text_format_outcomes(config: tts_pb2.SynthesisConfig, info: EngineInfo) -> list[Outcome]:
    """What became of the text format that was asked for."""
    match config.text_format:
        case _Format.TEXT_FORMAT_UNSPECIFIED:
            return []
        case _Format.TEXT_FORMAT_SSML:
            heeded = ", ".join(sorted(ssml_elements(info)))
            return [approximated(_FIELD, f"heeds {heeded}; what other elements hold is read as text")]
        case _:
            return [applied(_FIELD)]


def ssml_elements(info: EngineInfo) -> frozenset[str]:
    """Elements and attributes that change the speech."""
    return SERVICE_ELEMENTS | info.ssml_elements


def _text_language(config: tts_pb2.SynthesisConfig, options: SynthesisOptions) -> str:
    """The tag that was asked for where it says the region, else the voice's.

    A text for India is read as in India even where the only English voice is American.
    """
    asked = canonical(config.language_code) if config.language_code else ""
    if "-" in asked and best_match(asked, [options.language_code]):
        return asked
    return options.language_code
