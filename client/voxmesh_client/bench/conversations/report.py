"""A run of `voxmesh bench conversation` written down: Markdown for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from voxmesh_client.bench.conversations.attribution import ALIKE, heard_turns
from voxmesh_client.bench.conversations.figures import figures
from voxmesh_client.bench.conversations.runner import Condition, Play
from voxmesh_client.bench.conversations.scoreboard import of_condition, slips, tables
from voxmesh_client.bench.conversations.scoring import YIELD_WITHIN_S
from voxmesh_client.bench.machine import Machine

LATE_S = 0.1
"""A benchmark that is later than this measures itself too."""

_METHOD = f"""## How it was measured

- From the client's side: a microphone frame of 20 ms every 20 ms, silence and replies included; replies are played in
  real time as they arrive, positions told every 100 ms. The first sample of the microphone is second 0.
- End of speech is the last voiced 10 ms of a sound, by its energy, measured once when the sound was made. First audio
  is when the client received it. Answers to interruptions count too.
- End-of-turn wait: first audio less what the turn report says lies between the moment from which the turn could end
  and the first audio sent, both of the coordinator's clock. That part is what is exposed beyond the wait. The turn
  itself is ended when there is an answer to say, so from its end to the first audio is little by construction.
- Barge-in: from the first voiced sample of the interruption. Last reply audio is 0 when none came after it. Last full
  volume is when the reply was lowered, and stayed so until it stopped: audio that was sent before may still be played.
- Cut-off: a turn ended before the last voiced sample of the utterance. Missed: not stopped within {YIELD_WITHIN_S:g} s.
- A turn belongs to the utterance before it, or to the one whose words are more like it where several wait for theirs;
  below {ALIKE:.0%} alike it was heard as something else. Transcripts do not count otherwise.
- Sessions at once play different scenarios. Conditions take turns, scenario by scenario.
"""


@dataclass(frozen=True, slots=True)
class Run:
    """All that was found."""

    machine: Machine
    target: str
    """Where the coordinator was; for a person."""
    conditions: Sequence[Condition]
    plays: Sequence[Play]

    @property
    def services(self) -> list[str]:
        """Engine, model and host of each service."""
        return list(dict.fromkeys(each for play in self.plays for each in play.timeline.services))

    @property
    def late_s(self) -> float:
        """The most that a microphone frame was late."""
        return max((play.timeline.late_s for play in self.plays), default=0.0)

    @property
    def unheeded(self) -> list[str]:
        """Conditions that the coordinator did not say it applied."""
        asked = [play for play in self.plays if play.condition.speculation is not None and play.timeline.services]
        ignored = {play.condition.title for play in asked if "APPLIED" not in play.timeline.speculation_outcome}
        return sorted(ignored)


def head(run: Run) -> list[str]:
    """What was measured, where."""
    lines = [
        *run.machine.lines(),
        f"Coordinator: {run.target}. Services: {', '.join(run.services) or 'none answered'}.",
    ]
    if run.late_s > LATE_S:
        lines.append(
            f"The benchmark itself was up to {run.late_s:.2f} s late with a frame: too little of the machine "
            "was left for it, and the longest waits here contain that."
        )
    if run.unheeded:
        lines.append(f"The coordinator did not say that it applies config.speculation: {'; '.join(run.unheeded)}.")
    return lines


def to_markdown(run: Run) -> str:
    """The whole report."""
    wrong = slips(run.plays)
    problems = ["## Faults", "", *(f"- {line}" for line in wrong), ""] if wrong else []
    drawn = [table.markdown() + "\n" for table in tables(run.plays, run.conditions)]
    about = dict.fromkeys((play.scenario.name, play.scenario.about) for play in run.plays)
    listed = ["## Scenarios", "", *(f"- `{name}`: {text}" for name, text in sorted(about)), ""]
    return "\n".join(["# Conversation", "", *head(run), "", *drawn, *problems, *listed, _METHOD])


def to_dict(run: Run) -> dict[str, Any]:
    """The whole report as JSON has it."""
    return {
        "machine": asdict(run.machine),
        "target": run.target,
        "services": run.services,
        "conditions": [
            {**asdict(condition), "title": condition.title, **figures(of_condition(run.plays, condition))}
            for condition in run.conditions
        ],
        "plays": [_play_dict(play) for play in run.plays],
    }


def _play_dict(play: Play) -> dict[str, Any]:
    score = play.score
    turns = [
        {"index": turn.index, "ended_s": turn.ended_s, "likeness": turn.likeness, "is_cut_off": turn.is_cut_off}
        | {"step": turn.utterance.step if turn.utterance is not None else None}
        for turn in heard_turns(play.timeline)
    ]
    return {
        "scenario": play.scenario.name,
        "condition": play.condition.title,
        "answers": [asdict(each) for each in score.answers],
        "barge_ins": [asdict(each) for each in score.barge_ins],
        "faults": [{**asdict(slip), "fault": slip.fault.value} for slip in score.slips],
        "turns": turns,
        "void": score.void,
        "discarded_replies": score.discarded_replies,
        "discarded_s": score.discarded_s,
        "late_s": play.timeline.late_s,
    }


def write_report(folder: Path, run: Run) -> list[Path]:
    """Write `conversation.md` and `conversation.json`; gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    markdown, data = (folder / name for name in ("conversation.md", "conversation.json"))
    markdown.write_text(to_markdown(run), encoding="utf-8")
    data.write_text(json.dumps(to_dict(run), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return [markdown, data]
