"""Recorded speech with its words, from a folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

LIBRIVOX = Path("/usr/share/pocketsphinx/test/data/librivox")
"""Where the Debian package pocketsphinx-testdata puts five clips of LibriVox."""
_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


class NoClips(Exception):
    """The folder holds no speech with words; the message says what is expected."""


@dataclass(frozen=True, slots=True)
class Clip:
    """An audio file and what is said in it."""

    path: Path
    text: str


def read_clips(folder: Path) -> list[Clip]:
    """The clips of a folder: audio files beside texts of the same name, or a `transcription` as CMU Sphinx has it.

    Raises:
        NoClips: there are none.
    """
    clips = [*_of_sphinx(folder), *_with_texts(folder)]
    if not clips:
        raise NoClips(
            f"{folder}: no audio files with a .txt of the same name or a `transcription`; "
            "choose another --folder, or install the Debian package pocketsphinx-testdata"
        )
    return clips


def normal(text: str) -> str:
    """Words alone: lower case, no punctuation, hyphens as spaces, mr as mister."""
    plain = re.sub(r"\bmr\b", "mister", text.lower().replace("-", " "))
    return " ".join(re.sub(r"[^\w' ]", " ", plain).split())


def _of_sphinx(folder: Path) -> list[Clip]:
    path = folder / "transcription"
    lines = path.read_text().splitlines() if path.is_file() else []
    matches = (re.fullmatch(r"<s> (.*) </s> \((.*)\)", line.strip()) for line in lines)
    return [Clip(folder / f"{match[2]}.wav", match[1]) for match in matches if match]


def _with_texts(folder: Path) -> list[Clip]:
    texts = sorted(folder.glob("*.txt")) if folder.is_dir() else []
    found = ((text, text.with_suffix(suffix)) for text in texts for suffix in _SUFFIXES)
    return [Clip(audio, text.read_text()) for text, audio in found if audio.is_file()]
