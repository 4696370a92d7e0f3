"""The tables of `voxmesh bench biasing`, and its report as Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from voxmesh_client.bench.biasing import BiasingResult, CaseClips, Hearing, controls_changed, terms_heard
from voxmesh_client.bench.listening import Heard
from voxmesh_client.bench.machine import Machine
from voxmesh_client.bench.tables import MISSING, Table

_METHOD = """## How it was measured

Each recording in a stream of its own, finals alone, as fast as the service takes it. A term is heard when its words
stand together in the transcript; a control has changed when other words are heard than in the context that tells
nothing. Case and punctuation do not count (Whisper's normaliser). Options are what the service told in `ready`.
"""


def biasing_tables(results: Sequence[BiasingResult], clips: CaseClips) -> list[Table]:
    """Two tables a target: the contexts counted, and what was heard in each."""
    return [table for result in results if result.contexts for table in _tables_of(result, clips)]


def write_biasing(
    folder: Path, machine: Machine, results: Sequence[BiasingResult], clips: CaseClips, wrong: Sequence[str]
) -> list[Path]:
    """Write `biasing.md` and `biasing.json`; gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    markdown, data = folder / "biasing.md", folder / "biasing.json"
    tables = [table.markdown() + "\n" for table in biasing_tables(results, clips)]
    problems = ["## What is not as expected", "", *(f"- {line}" for line in wrong), ""] if wrong else []
    text = "\n".join(["# Biasing", "", *machine.lines(), "", *tables, *problems, _METHOD])
    markdown.write_text(text, encoding="utf-8")
    plain = json.dumps(to_dict(machine, results, clips, wrong), ensure_ascii=False, indent=1)
    data.write_text(plain + "\n", encoding="utf-8")
    return [markdown, data]


def to_dict(
    machine: Machine, results: Sequence[BiasingResult], clips: CaseClips, wrong: Sequence[str]
) -> dict[str, Any]:
    """Everything, for a program."""
    return {
        "machine": asdict(machine),
        "contexts": {name: each.model_dump() for name, each in clips.cases.contexts.items()},
        "targets": [_target_json(result, clips) for result in results],
        "not_as_expected": list(wrong),
    }


def _target_json(result: BiasingResult, clips: CaseClips) -> dict[str, Any]:
    return {
        "name": result.name,
        "engine": result.model.engine,
        "model": result.model.model,
        "device": result.model.device,
        "problem": result.problem,
        "contexts": {name: _hearing_json(each, result, clips) for name, each in result.contexts.items()},
    }


def _hearing_json(hearing: Hearing, result: BiasingResult, clips: CaseClips) -> dict[str, Any]:
    terms = zip(hearing.clips, terms_heard(hearing, clips.cases), strict=True)
    changes = controls_changed(hearing, result.contexts[clips.cases.plain])
    return {
        "options": hearing.outcomes,
        "clips": [{**_heard_json(each), "term_heard": is_heard} for each, is_heard in terms],
        "controls": [
            {**_heard_json(each), "changed": changed} for each, changed in zip(hearing.controls, changes, strict=True)
        ],
    }


def _heard_json(heard: Heard) -> dict[str, Any]:
    return {"clip": heard.clip.name, "said": heard.clip.text, "heard": heard.text, "failure": heard.failure}


def _tables_of(result: BiasingResult, clips: CaseClips) -> Iterator[Table]:
    plain = result.contexts[clips.cases.plain]
    told = f"{result.name} ({result.model.engine}, {result.model.model})"
    yield Table(
        f"Contexts of {told}",
        ("context", "terms heard", "controls changed", "failed", "options"),
        [_context_row(name, hearing, plain, clips) for name, hearing in result.contexts.items()],
    )
    rows = [_clip_row(index, result, clips) for index in range(len(clips.clips))]
    rows += [_control_row(index, result, plain, clips) for index in range(len(clips.controls))]
    yield Table(f"What {result.name} heard", ("said", "term", *result.contexts), rows, text_columns=9)


def _context_row(name: str, hearing: Hearing, plain: Hearing, clips: CaseClips) -> Sequence[str]:
    heard = terms_heard(hearing, clips.cases)
    changed = MISSING if hearing is plain else f"{sum(controls_changed(hearing, plain))} of {len(hearing.controls)}"
    options = ", ".join(f"{option} {outcome}" for option, outcome in hearing.outcomes.items())
    return (name, f"{sum(heard)} of {len(heard)}", changed, str(len(hearing.failures)), options or MISSING)


def _clip_row(index: int, result: BiasingResult, clips: CaseClips) -> Sequence[str]:
    cells = (
        _cell(hearing.clips[index], "yes" if terms_heard(hearing, clips.cases)[index] else "no")
        for hearing in result.contexts.values()
    )
    return (clips.clips[index].text, clips.cases.clips[index].term, *cells)


def _control_row(index: int, result: BiasingResult, plain: Hearing, clips: CaseClips) -> Sequence[str]:
    cells = (
        hearing.controls[index].text
        if hearing is plain
        else _cell(hearing.controls[index], "changed" if controls_changed(hearing, plain)[index] else "same")
        for hearing in result.contexts.values()
    )
    return (clips.controls[index].text, "(control)", *cells)


def _cell(heard: Heard, verdict: str) -> str:
    return f"failed: {heard.failure}" if heard.failure else f"{verdict}: {heard.text}"
