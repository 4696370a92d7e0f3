"""Benchmark `turn`: a spoken turn through the mesh beside the same models called in one process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.figures import Spread, difference
from benchmarks.mesh import LocalMesh
from benchmarks.milestones import MEASURES, Milestones
from benchmarks.result import Result, Table
from benchmarks.single_models import Models, loaded_models
from benchmarks.speech import QUESTION, Question
from benchmarks.turn_mesh import MeshTurn
from benchmarks.turn_single import SingleTurn
from voxmesh_coordinator.settings import CoordinatorSettings

GOAL_MS = 15.0
_REST_S = 0.3
"""Between two turns, so that neither finds the other's last work."""


async def measure_turns(mesh: LocalMesh, wavs: Sequence[Path] = (), *, turns: int = 20, warm_up: int = 2) -> Result:
    """Ask each question both ways in turn, `turns` times each after `warm_up` that do not count."""
    settings = CoordinatorSettings(temperature=0.0)
    questions = [Question.read(path) for path in (wavs or (QUESTION,))]
    through_mesh: list[Milestones] = []
    in_process: list[Milestones] = []
    async with loaded_models(settings) as models:
        for index in range(-warm_up, turns):
            question = questions[index % len(questions)]
            ways = [(through_mesh, True), (in_process, False)]
            # Who goes first alternates, so that neither always follows the other.
            for found, is_mesh in ways[:: 1 if index % 2 else -1]:
                found.append(await _ask(mesh, models, question, settings, is_mesh=is_mesh))
                await asyncio.sleep(_REST_S)
    return _result(through_mesh[warm_up:], in_process[warm_up:])


async def _ask(
    mesh: LocalMesh, models: Models, question: Question, settings: CoordinatorSettings, *, is_mesh: bool
) -> Milestones:
    if is_mesh:
        return await MeshTurn(mesh.client, question).run()
    return await SingleTurn(models, question, settings).run()


def _result(through_mesh: Sequence[Milestones], in_process: Sequence[Milestones]) -> Result:
    same_text = sum(a.text == b.text for a, b in zip(through_mesh, in_process, strict=True))
    same_reply = sum(a.reply == b.reply for a, b in zip(through_mesh, in_process, strict=True))
    count = len(through_mesh)
    table = Table(
        f"turn: {count} spoken turns each way, interleaved, ms",
        ("median (quartiles)", "mesh", "one process", "difference (90 %)", "ratio"),
        [_row(name, through_mesh, in_process) for name in MEASURES],
        [
            (
                f"Goal: at most {GOAL_MS:g} ms more to the first reply audio. "
                f"Same transcript in {same_text} of {count} pairs, same reply in {same_reply}."
            ),
            (
                "Both ways: real-time 20 ms frames, the same engines with 1 thread each, a llama.cpp server of their "
                "own, temperature 0, and prompts whose prefix llama.cpp knows from the turn before."
            ),
        ],
    )
    figures = {
        "mesh": [asdict(turn) for turn in through_mesh],
        "one_process": [asdict(turn) for turn in in_process],
        "difference_ms": {name: _difference(name, through_mesh, in_process).median for name in MEASURES},
    }
    return Result("turn", [table], figures)


def _row(name: str, through_mesh: Sequence[Milestones], in_process: Sequence[Milestones]) -> tuple[str, ...]:
    mesh, single = (Spread.of(_ms(name, turns)) for turns in (through_mesh, in_process))
    more = _difference(name, through_mesh, in_process)
    return (name, mesh.text(), single.text(), more.text(1), f"{mesh.median / single.median:.2f}")


def _difference(name: str, through_mesh: Sequence[Milestones], in_process: Sequence[Milestones]) -> Spread:
    return difference(_ms(name, through_mesh), _ms(name, in_process))


def _ms(name: str, turns: Sequence[Milestones]) -> list[float]:
    return [1000 * getattr(turn, MEASURES[name]) for turn in turns]
