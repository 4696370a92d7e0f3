"""The scoreboard as tables: a column for each condition, a line for each measure, and one for each scenario."""

from __future__ import annotations

from collections.abc import Sequence

from voxmesh_client.bench.conversations.figures import MEASURES, Figures, Measure, figures, ratio
from voxmesh_client.bench.conversations.runner import Condition, Play
from voxmesh_client.bench.tables import MISSING, Table, number


def tables(plays: Sequence[Play], conditions: Sequence[Condition]) -> list[Table]:
    """All tables of a run."""
    return [_scoreboard(plays, conditions), *(_scenarios(plays, condition) for condition in conditions)]


def slips(plays: Sequence[Play]) -> list[str]:
    """A line for each fault."""
    return [
        f"{play.scenario.name} ({play.condition.title}), "
        f"{f'step {slip.step}' if slip.step else 'no step'}: {slip.fault.value}: {slip.about}"
        for play in plays
        for slip in play.score.slips
    ]


def of_condition(plays: Sequence[Play], condition: Condition) -> list[Play]:
    """The plays under a condition."""
    return [play for play in plays if play.condition == condition]


def _scoreboard(plays: Sequence[Play], conditions: Sequence[Condition]) -> Table:
    found = {condition: figures(of_condition(plays, condition)) for condition in conditions}
    pairs = _pairs(conditions)
    columns = ["measure", *(condition.short_title for condition in conditions)]
    columns += [f"{one.sessions} at once, ratio" for one, _ in pairs]
    rows = [
        [
            f"{measure.title}{f' ({measure.unit})' if measure.unit != 'count' else ''}",
            *(_cell(measure, found[condition]) for condition in conditions),
            *(_ratio(measure, found[one], found[other]) for one, other in pairs),
        ]
        for measure in MEASURES
    ]
    return Table("Scoreboard" + (", with and without speculation" if pairs else ""), columns, rows)


def _pairs(conditions: Sequence[Condition]) -> list[tuple[Condition, Condition]]:
    """Each condition with speculation, and the one that differs in nothing else."""
    return [
        (one, other)
        for one in conditions
        for other in conditions
        if one.sessions == other.sessions and one.speculation is True and other.speculation is False
    ]


def _cell(measure: Measure, found: Figures) -> str:
    value = found[measure.figure]
    if measure.unit != "count":
        return _ms(value)
    if not measure.of:
        return number(value, 0)
    return f"{number(value, 0)} of {number(found[measure.of], 0)}" if found[measure.of] else MISSING


def _ratio(measure: Measure, one: Figures, other: Figures) -> str:
    return MISSING if measure.unit == "count" else number(ratio(one[measure.figure], other[measure.figure]))


def _scenarios(plays: Sequence[Play], condition: Condition) -> Table:
    """What each scenario came to under a condition."""
    own = of_condition(plays, condition)
    names = list(dict.fromkeys(play.scenario.name for play in own))
    columns = ("scenario", "passed", "first audio p50 (ms)", "wait p50 (ms)", "beyond p50 (ms)", "yield p50 (ms)")
    rows = [_scenario_row(name, [play for play in own if play.scenario.name == name]) for name in sorted(names)]
    return Table(f"Scenarios: {condition.title}", [*columns, "faults"], rows)


def _scenario_row(name: str, plays: Sequence[Play]) -> list[str]:
    found = figures(plays)
    times = [_ms(found[f"{each}_p50_s"]) for each in ("first_audio", "wait", "beyond", "yield")]
    faults = [slip.fault.value for play in plays for slip in play.score.slips]
    counted = ", ".join(f"{fault} x{faults.count(fault)}" for fault in dict.fromkeys(faults))
    return [name, f"{sum(play.is_passed for play in plays)} of {len(plays)}", *times, counted or MISSING]


def _ms(seconds: float | None) -> str:
    return MISSING if seconds is None else f"{1000 * seconds:.0f}"
