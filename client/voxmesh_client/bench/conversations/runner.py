"""Plays all scenarios under every condition: one session or several at once, conditions taking turns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_client.asking import spoken_config
from voxmesh_client.bench.conversations.director import Director
from voxmesh_client.bench.conversations.scoring import Score, score
from voxmesh_client.bench.conversations.script import Scenario
from voxmesh_client.bench.conversations.sounds import MICROPHONE_HERTZ, Sound
from voxmesh_client.bench.conversations.stage import on_stage
from voxmesh_client.bench.conversations.timeline import Timeline
from voxmesh_client.errors import MeshError
from voxmesh_client.mesh import Mesh

_APART_S = 0.37
"""Between the beginnings of two sessions of a round, so that people do not all speak at once."""

Show = Callable[[str, float], AbstractContextManager[object]]
"""Shows a step by its title, and its seconds where they are known, for the time of a block."""


@dataclass(frozen=True, slots=True)
class Condition:
    """How a conversation is held."""

    sessions: int
    speculation: bool | None
    """None leaves it to the coordinator."""

    @property
    def title(self) -> str:
        """The condition for a person."""
        how = {True: ", speculation", False: ", no speculation", None: ""}[self.speculation]
        return f"{self.sessions} session{'s' if self.sessions > 1 else ''}{how}"

    @property
    def short_title(self) -> str:
        """The condition for the head of a column."""
        how = {True: ", with", False: ", without", None: ""}[self.speculation]
        return f"{self.sessions} at once{how}"

    def config(self, scenario: Scenario) -> conversation_pb2.ConversationConfig:
        """The config of a scenario's conversation."""
        config = spoken_config(MICROPHONE_HERTZ, ("en",))
        config.system_prompt = scenario.system_prompt
        if self.speculation is not None:
            config.speculation = self.speculation
        return config


@dataclass(frozen=True, slots=True)
class Play:
    """One scenario, played once."""

    scenario: Scenario
    condition: Condition
    timeline: Timeline
    score: Score

    @property
    def is_passed(self) -> bool:
        """True when all went as the script expects."""
        return not self.score.slips


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be played."""

    scenarios: Sequence[Scenario]
    sounds: Mapping[str, Sound]
    sessions: Sequence[int]
    speculation: Sequence[bool | None]
    """Conditions that take turns."""
    repeat: int = 1

    @property
    def conditions(self) -> list[Condition]:
        """All conditions, in the order of tables."""
        return [Condition(count, each) for count in self.sessions for each in self.speculation]

    def rounds(self) -> Iterator[tuple[Condition, list[Scenario]]]:
        """What is played at once, one round after another.

        In each round every session plays another scenario; over all rounds of a condition each plays them all.
        """
        for sessions in self.sessions:
            for number in range(self.repeat * len(self.scenarios)):
                # Whatever drifts meanwhile, such as other work on the machine, meets all conditions alike.
                turns = self.speculation if number % 2 == 0 else list(reversed(self.speculation))
                chosen = [self.scenarios[(number + each) % len(self.scenarios)] for each in range(sessions)]
                yield from ((Condition(sessions, each), chosen) for each in turns)


async def run_plan(mesh: Mesh, plan: Plan, show: Show) -> list[Play]:
    """All plays, in order."""
    plays: list[Play] = []
    rounds = list(plan.rounds())
    for number, (condition, scenarios) in enumerate(rounds, 1):
        names = ", ".join(scenario.name for scenario in scenarios)
        with show(f"{number}/{len(rounds)} {condition.title}: {names}", 0.0):
            played = (
                play(mesh, plan, condition, scenario, place * _APART_S) for place, scenario in enumerate(scenarios)
            )
            plays += await asyncio.gather(*played)
    return plays


async def play(mesh: Mesh, plan: Plan, condition: Condition, scenario: Scenario, after_s: float = 0.0) -> Play:
    """Play one scenario; a conversation that is refused is a failure in its score."""
    await asyncio.sleep(after_s)
    try:
        async with on_stage(mesh, condition.config(scenario)) as stage:
            await Director(scenario, plan.sounds, stage).play()
        timeline = stage.timeline
    except MeshError as error:
        timeline = Timeline(failure=str(error))
    return Play(scenario, condition, timeline, score(timeline))
