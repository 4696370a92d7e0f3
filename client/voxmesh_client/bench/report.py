"""A benchmark written down: tables for the terminal, Markdown for people, JSON for programs, a plot."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from voxmesh_client.bench.gate_file import Gates
from voxmesh_client.bench.machine import Machine
from voxmesh_client.bench.tables import Table
from voxmesh_client.bench.verdicts import Judgement


@dataclass(frozen=True, slots=True)
class Report:
    """All that a benchmark has to say."""

    title: str
    machine: Machine
    about: Sequence[str]
    """What was measured, a line each, for the Markdown."""
    tables: Sequence[Table]
    wrong: Sequence[str]
    """A sentence for everything that went wrong."""
    method: str
    """How it was measured, in Markdown."""
    data: dict[str, Any]
    """Everything, for a program, but for the machine."""
    draw: Callable[[Path], None] | None = None
    """Draws the plot at a path."""
    plot_text: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The whole report as JSON has it."""
        return {"machine": asdict(self.machine), **self.data}

    def to_markdown(self) -> str:
        """The whole report for people."""
        picture = [f"![{self.plot_text}](plot.png)", ""] if self.draw is not None else []
        tables = [table.markdown() + "\n" for table in self.tables]
        problems = ["## What went wrong", "", *(f"- {line}" for line in self.wrong), ""] if self.wrong else []
        head = [f"# {self.title}", "", *self.machine.lines(), "", *self.about, "", *picture]
        return "\n".join([*head, *tables, *problems, self.method])

    def write(self, folder: Path) -> list[Path]:
        """Write `report.md`, `report.json` and, where there is one, `plot.png`; gives their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        markdown, data, plot = (folder / name for name in ("report.md", "report.json", "plot.png"))
        markdown.write_text(self.to_markdown(), encoding="utf-8")
        data.write_text(json.dumps(self.to_dict(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        if self.draw is None:
            return [markdown, data]
        self.draw(plot)
        return [markdown, data, plot]


def verdicts_json(judgements: Sequence[Judgement], gates: Gates | None) -> list[dict[str, Any]] | None:
    """Judgements for a program; None without gates."""
    if gates is None:
        return None
    return [
        {
            "target": judgement.target,
            "verdict": judgement.verdict.value,
            "gates": [
                {"gate": str(each.gate), "name": each.gate.name, "value": each.value, "met": each.is_met}
                for each in judgement.gates
            ],
        }
        for judgement in judgements
    ]
