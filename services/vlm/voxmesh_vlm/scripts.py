"""Which scripts an engine reads, and what becomes of text in another: it is refused, not guessed at.

    require_scripts   before anything is read, by the languages that the caller names
    Held              while a picture is read, by what its lines look like

Scripts are ISO 15924 codes, languages BCP-47.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from voxmesh_runtime.errors import Unimplemented
from voxmesh_runtime.language_tags import script
from voxmesh_runtime.quoting import listed
from voxmesh_vlm.engine import EngineInfo, TextDelta, TextLine

WORKING = TextDelta("")
"""Yielded between steps that give nothing, so that a cancel gets through."""
LEAST_PROOF, LEAST_DOUBT = 2.0, 3.0
"""Heights of a line; what is shorter decides nothing: any script has a letter like 3, and a photo has specks."""
LEAST_SHARE = 1 / 3
"""Of the text of a picture, by length, that must be legible."""


def require_scripts(info: EngineInfo, languages: Sequence[str]) -> None:
    """Refuse languages in a script that the engine does not read; one that tells no scripts may read any.

    Raises:
        Unimplemented: the details name engines that may read it.
    """
    missing = {tag: script(tag) for tag in languages if info.script_codes and script(tag) not in info.script_codes}
    if missing:
        unread = listed(f"{tag} ({code})" for tag, code in missing.items())
        raise Unimplemented("language_codes", f"the engine does not read {unread}; {_advice(info)}", info.readers)


def illegible(info: EngineInfo, picture: int, looks_like: str = "") -> Unimplemented:
    """The refusal of a picture whose text the engine does not read.

    Args:
        info: the engine's.
        picture: its index.
        looks_like: the script, where that is known.
    """
    what = f"looks like {looks_like}" if looks_like else "is in another script, or too blurred"
    message = f"the text of image_chunk[{picture}] {what}, and the engine cannot read it; {_advice(info)}"
    return Unimplemented("script", message, info.readers)


@dataclass(frozen=True, slots=True)
class Found:
    """A line that was found in a picture, whatever was made of it."""

    line: TextLine
    length: float
    """In heights of the line."""
    is_legible: bool
    """Worth sending: the engine trusts its reading."""
    is_proof: bool
    """It would not look like this in a script that the engine does not read."""


class Held:
    """The lines of one picture, held back until it is clear that they are text which the engine reads.

    A recogniser reads something into every script. That shows in its doubt, line after line; one line proves little.
    """

    def __init__(self) -> None:
        self._lines: list[TextLine] = []
        self._proved = self._doubtful = 0.0
        self.is_clear = False
        """The picture's text is what the engine reads: its lines leave as they come."""

    def add(self, found: Found) -> list[TextLine]:
        """Take the next line; give those that may leave now. An illegible one never does."""
        if found.is_proof and found.length >= LEAST_PROOF:
            self._proved += found.length
        elif not found.is_proof and found.length >= LEAST_DOUBT:
            self._doubtful += found.length
        if found.is_legible:
            self._lines.append(found.line)
        self.is_clear = self.is_clear or self._proved > self._doubtful
        return self._taken() if self.is_clear else []

    @property
    def is_refused(self) -> bool:
        """Too little of the picture's text, of which all has been added, is legible."""
        return not self.is_clear and self._proved < LEAST_SHARE * (self._proved + self._doubtful)

    def rest(self) -> list[TextLine]:
        """The lines that are left of a picture that is not refused."""
        return self._taken()

    def _taken(self) -> list[TextLine]:
        lines, self._lines = self._lines, []
        return lines


def _advice(info: EngineInfo) -> str:
    others = f"; use {' or '.join(info.readers)}" if info.readers else ""
    return f"it reads {listed(info.script_codes)}{others}"
