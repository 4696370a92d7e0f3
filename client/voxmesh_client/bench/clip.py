"""One recording and what is said in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Clip:
    """A piece of an audio file and its words."""

    path: Path
    text: str
    source: str
    """Where it is listed, such as "train.jsonl:3"; for messages."""
    language: str = ""
    """BCP-47 tag; empty in a corpus that names none."""
    offset_s: float = 0.0
    """Where it begins in the file."""
    duration_s: float = 0.0
    """Its length; 0 until the file was opened means to the end."""

    @property
    def name(self) -> str:
        """The file's name without its ending, and where in it the clip begins unless at the start."""
        return f"{self.path.stem}@{self.offset_s:g}" if self.offset_s else self.path.stem
