"""How much of what a right answer holds is in an answer, and what is missing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jiwer

from voxmesh_client.bench.pictures.case_file import Case
from voxmesh_client.bench.words import normalizer

_SHOWN = 4
"""Missing things that a reason names; the rest is counted."""
_POINT = re.compile(r"(?<!\d)\.|\.(?!\d)")
_FENCED = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Scored:
    """One answer against its case."""

    score: float
    """From 0 to 1."""
    is_right: bool
    reason: str
    """What is missing or wrong; empty when nothing is."""


def scored(case: Case, text: str, data: Mapping[str, Any] | None) -> Scored:
    """Compare an answer with what a right one holds.

    Args:
        case: what was asked.
        text: the answer as text.
        data: the answer as data, where the engine gave it as such.
    """
    if case.lines:
        return _of_lines(case, text)
    if case.facts:
        missing = [each[0] for each in case.facts if not mentions(text, each)]
        return _scored(case, len(case.facts) - len(missing), len(case.facts), missing)
    found = data if data is not None else json_in(text)
    if found is None:
        return Scored(0.0, is_right=False, reason="is no JSON")
    wrong = [f"{path} = {at(found, path)}" for path, values in case.fields.items() if not _is_one(found, path, values)]
    return _scored(case, len(case.fields) - len(wrong), len(case.fields), wrong)


def json_in(text: str) -> Mapping[str, Any] | None:
    """The object that an answer is, with or without a fence of Markdown around it; None when it is none."""
    fenced = _FENCED.search(text)
    try:
        value = json.loads(fenced[1] if fenced is not None else text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def at(value: Any, path: str) -> str:
    """What stands at a path such as `respondents.0.name`, as text; "null" for nothing."""
    for step in path.split("."):
        match value:
            case dict() if step in value:
                value = value[step]
            case list() if step.isdecimal() and int(step) < len(value):
                value = value[int(step)]
            case _:
                return "missing"
    if isinstance(value, float) and value.is_integer():  # a protobuf Struct has no whole numbers
        value = int(value)
    return "null" if value is None else str(value)


def _of_lines(case: Case, text: str) -> Scored:
    normal = normalizer("")
    said, read = normal(" ".join(case.lines)), normal(text)
    output = jiwer.process_words(said, read)
    words = said.split()
    missing = [
        word
        for chunk in output.alignments[0]
        if chunk.type in {"delete", "substitute"}
        for word in words[chunk.ref_start_idx : chunk.ref_end_idx]
    ]
    score = max(0.0, 1 - output.wer)
    extra = f"{output.insertions} words that are not there" if output.insertions else ""
    return Scored(score, score >= case.right_from, "; ".join(filter(None, (_missing(missing), extra))))


def mentions(text: str, ways: Sequence[str]) -> bool:
    """True when a text has one of several wordings."""
    plain = plain_words(text)
    return any(plain_words(way) in plain for way in ways)


def _is_one(found: Mapping[str, Any], path: str, values: Sequence[str]) -> bool:
    told = at(found, path)
    return (told == "null") == ("null" in values) and plain_words(told) in map(plain_words, values)


def plain_words(text: str) -> str:
    """Letters, digits and single spaces; points stay within numbers, as in prices."""
    pointless = _POINT.sub(" ", text.casefold())
    return " ".join("".join(each if each.isalnum() or each == "." else " " for each in pointless).split())


def _scored(case: Case, right: int, count: int, missing: Sequence[str]) -> Scored:
    return Scored(right / count, right / count >= case.right_from, _missing(missing))


def _missing(things: Sequence[str]) -> str:
    if not things:
        return ""
    rest = f" and {len(things) - _SHOWN} more" if len(things) > _SHOWN else ""
    return f"missing or wrong: {', '.join(things[:_SHOWN])}{rest}"
