"""Clips of a folder, in whichever of the usual forms its texts are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from voxmesh_client.bench.clip import Clip
from voxmesh_client.bench.problems import CorpusError

_AUDIO = (".wav", ".flac", ".ogg", ".mp3")
_LISTS = ("*.trans.txt", "aishell_transcript*.txt")
_SPHINX_LINE = re.compile(r"(?:<s>)?\s*(.*?)\s*(?:</s>)?\s*\(([^()\s]+)\)")


def read_folder(folder: Path) -> tuple[list[Clip], int]:
    """The clips below a folder, in order of their paths, and how many audio files have no text.

    Raises:
        CorpusError: there are none, or a line is wrong.
    """
    audio = {path.with_suffix(""): path for path in sorted(folder.rglob("*")) if path.suffix.lower() in _AUDIO}
    clips = [*_sphinx(folder, audio), *_lists(folder, audio), *_pairs(audio)]
    if not clips:
        raise CorpusError(
            f"{folder}: no audio ({', '.join(_AUDIO)}) with a .txt of the same name, no *.trans.txt and no "
            "fileids with a transcription; give a manifest, or another folder"
        )
    return clips, len(audio) - len({clip.path for clip in clips})


def _pairs(audio: Mapping[Path, Path]) -> Iterator[Clip]:
    for stem, path in audio.items():
        text = stem.parent / f"{stem.name}.txt"
        if text.is_file():
            yield Clip(path, _read(text).strip(), source=str(text))


def _lists(folder: Path, audio: Mapping[Path, Path]) -> Iterator[Clip]:
    """Lines of an id and its words, whose audio is beside the list, else anywhere below the folder."""
    anywhere = {stem.name: path for stem, path in audio.items()}
    for path in sorted(found for pattern in _LISTS for found in folder.rglob(pattern)):
        beside = any(stem.parent == path.parent for stem in audio)
        for source, line in _lines(path):
            name, _, text = line.strip().partition(" ")
            found = audio.get(path.parent / name) if beside else anywhere.get(name)
            if found is None and beside:
                raise CorpusError(f"{source}: no audio file {name} beside it")
            if found is not None:  # a list for a whole corpus may stand above a part of its audio
                yield Clip(found, text.strip(), source)


def _sphinx(folder: Path, audio: Mapping[Path, Path]) -> Iterator[Clip]:
    """`<s> words </s> (id)` lines of `*transcription`; those alone that `*fileids` names if it is there."""
    for path in sorted(folder.glob("*transcription")):
        ids = path.with_name(path.name.removesuffix("transcription") + "fileids")
        wanted = {line.strip() for _, line in _lines(ids)} if ids.is_file() else None
        for source, line in _lines(path):
            match = _SPHINX_LINE.fullmatch(line.strip())
            if match is None:
                raise CorpusError(f"{source}: is not `<s> words </s> (id)`")
            name = next((each for each in wanted or () if Path(each).name == match[2]), match[2])
            if wanted is not None and name not in wanted:
                continue
            if (found := audio.get(folder / name)) is None:
                raise CorpusError(f"{source}: no audio file {name} below {folder}")
            yield Clip(found, match[1], source)


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Each line that is not empty, with its file and number."""
    for number, line in enumerate(_read(path).splitlines(), start=1):
        if line.strip():
            yield f"{path}:{number}", line


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise CorpusError(f"{path}: is not UTF-8 text") from None
