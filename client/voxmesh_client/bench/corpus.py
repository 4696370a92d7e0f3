"""Recorded speech with its words, from a folder or a manifest.

folder of x.wav + x.txt | *.trans.txt (LibriSpeech, AISHELL) | fileids + transcription (CMU Sphinx)
manifest of JSON lines (NeMo) | CSV | TSV (Common Voice)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from voxmesh_client.bench.clip import Clip
from voxmesh_client.bench.corpus_folder import read_folder
from voxmesh_client.bench.corpus_manifest import SUFFIXES, read_manifest
from voxmesh_client.bench.problems import CorpusError
from voxmesh_client.sound import sendable
from voxmesh_runtime.audio import AudioFile, AudioFileError, Samples, read_audio_file
from voxmesh_runtime.language_tags import UnknownLanguage, canonical


@dataclass(frozen=True, slots=True)
class Corpus:
    """Clips that were found, each with audio that can be opened."""

    path: Path
    clips: tuple[Clip, ...]
    without_text: int = 0
    """Audio files of the folder that have no text and are left out."""

    @property
    def seconds(self) -> float:
        """Length of all clips."""
        return sum(clip.duration_s for clip in self.clips)

    @property
    def languages(self) -> list[str]:
        """Tags that occur."""
        return sorted({clip.language for clip in self.clips})


def read_corpus(path: Path, language: str, limit: int | None = None) -> Corpus:
    """The clips of a folder or manifest.

    Args:
        path: a folder, or a file of JSON lines, CSV or TSV.
        language: BCP-47 tag of clips that name none.
        limit: take this many from the start; None takes all.

    Raises:
        CorpusError: there are none, a line is wrong, or a file holds no audio.
    """
    without_text = 0
    if path.is_dir():
        clips, without_text = read_folder(path)
    elif path.is_file() and path.suffix.lower() in SUFFIXES:
        clips = read_manifest(path)
    else:
        raise CorpusError(f"{path}: neither a folder nor a manifest ({', '.join(SUFFIXES)}); check the path")
    if not clips:
        raise CorpusError(f"{path}: holds no clips")
    chosen = clips if limit is None else clips[:limit]
    return Corpus(path, tuple(complete(clip, language) for clip in chosen), without_text)


def read_samples(clip: Clip) -> tuple[Samples, int]:
    """Mono samples of a clip in [-1, 1] and their rate in hertz, one that services take."""
    samples, rate_hertz = read_audio_file(clip.path)
    begin = round(clip.offset_s * rate_hertz)
    return sendable(samples[begin : begin + round(clip.duration_s * rate_hertz)], rate_hertz)


def complete(clip: Clip, language: str) -> Clip:
    """The clip with its length and language; its audio is opened to see that it can be.

    Raises:
        CorpusError: it cannot, holds nothing there, or its language is none.
    """
    try:
        with AudioFile(clip.path) as file:
            length_s = file.duration_s
    except AudioFileError as error:
        raise CorpusError(f"{clip.source}: {error}") from None
    rest_s = length_s - clip.offset_s
    duration_s = min(clip.duration_s, rest_s) if clip.duration_s else rest_s
    if duration_s <= 0:
        raise CorpusError(f"{clip.source}: {clip.path}: no audio at {clip.offset_s:g} s; it is {length_s:g} s long")
    try:
        tag = canonical(clip.language or language)
    except UnknownLanguage as error:
        raise CorpusError(f"{clip.source}: {error}") from None
    return replace(clip, duration_s=duration_s, language=tag)
