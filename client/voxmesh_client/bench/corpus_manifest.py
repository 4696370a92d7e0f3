"""Clips of a manifest: JSON lines as NeMo writes them, or a table with a header."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from voxmesh_client.bench.clip import Clip
from voxmesh_client.bench.problems import CorpusError

SUFFIXES = (".jsonl", ".json", ".ndjson", ".csv", ".tsv")

_PATHS = ("audio_filepath", "audio", "path", "file", "wav")
_TEXTS = ("text", "sentence", "transcript", "transcription")
_LANGUAGES = ("lang", "language", "locale", "target_lang")


def read_manifest(path: Path) -> list[Clip]:
    """The clips of a manifest; audio paths are relative to its folder, or to `clips` in it (Common Voice).

    Raises:
        CorpusError: a line is wrong; the message names it.
    """
    rows = _json_rows(path) if path.suffix.lower() not in {".csv", ".tsv"} else _table_rows(path)
    try:
        return [_clip(path, source, row) for source, row in rows]
    except UnicodeDecodeError:
        raise CorpusError(f"{path}: is not UTF-8 text") from None


def _json_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            source = f"{path}:{number}"
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise CorpusError(f"{source}: is no JSON object on one line ({error.msg})") from None
            if not isinstance(row, dict):
                raise CorpusError(f"{source}: is no JSON object")
            yield source, row


def _table_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    is_tsv = path.suffix.lower() == ".tsv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        # Common Voice does not quote: a quotation mark in a sentence is part of it.
        quoting = csv.QUOTE_NONE if is_tsv else csv.QUOTE_MINIMAL
        reader = csv.DictReader(file, delimiter="\t" if is_tsv else ",", quoting=quoting)
        names = reader.fieldnames or []
        for known in (_PATHS, _TEXTS):
            if not any(name in names for name in known):
                raise CorpusError(f"{path}:1: the header has none of the columns {', '.join(known)}")
        for row in reader:
            source = f"{path}:{reader.line_num}"
            if None in row or None in row.values():
                raise CorpusError(f"{source}: has not as many columns as the header ({len(names)})")
            yield source, {str(name): value for name, value in row.items()}


def _clip(manifest: Path, source: str, row: Mapping[str, Any]) -> Clip:
    text = _field(row, _TEXTS)
    name = _field(row, _PATHS)
    if not isinstance(name, str) or not name:
        raise CorpusError(f'{source}: "{_PATHS[0]}" is missing or no text')
    if not isinstance(text, str):
        raise CorpusError(f'{source}: "{_TEXTS[0]}" is missing or no text')
    offset_s = _seconds(row, "offset", source)
    return Clip(
        path=_audio(manifest.parent, name, source),
        text=text.strip(),
        source=source,
        language=str(_field(row, _LANGUAGES) or ""),
        offset_s=offset_s or 0.0,
        # As in NeMo, `duration` cuts the file only together with `offset`.
        duration_s=(_seconds(row, "duration", source) or 0.0) if offset_s is not None else 0.0,
    )


def _field(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((row[name] for name in names if name in row), None)


def _seconds(row: Mapping[str, Any], name: str, source: str) -> float | None:
    value = row.get(name)
    if value is None or value == "":
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise CorpusError(f'{source}: "{name}" is no number of seconds: {value!r}')
    return seconds


def _audio(folder: Path, name: str, source: str) -> Path:
    for path in (folder / name, folder / "clips" / name):
        if path.is_file():
            return path
    raise CorpusError(f"{source}: no such audio file: {folder / name}")
