"""How an engine took each option of a caller's config, for `ready`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from voxmesh.common.v1 import common_pb2


class Kind(IntEnum):
    """What became of an option; the numbers are the contract's."""

    APPLIED = common_pb2.OptionOutcome.OUTCOME_APPLIED
    APPROXIMATED = common_pb2.OptionOutcome.OUTCOME_APPROXIMATED
    IGNORED = common_pb2.OptionOutcome.OUTCOME_IGNORED


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one option; `field` is its path in the config."""

    field: str
    kind: Kind
    detail: str = ""

    def to_proto(self) -> common_pb2.OptionOutcome:
        """The outcome for `Ready.options`."""
        return common_pb2.OptionOutcome(
            field=self.field, outcome=common_pb2.OptionOutcome.Outcome.ValueType(self.kind), detail=self.detail
        )


def applied(field: str) -> Outcome:
    """Done as asked."""
    return Outcome(field, Kind.APPLIED)


def approximated(field: str, how: str) -> Outcome:
    """Done in the nearest way the engine has."""
    return Outcome(field, Kind.APPROXIMATED, how)


def ignored(field: str, why: str) -> Outcome:
    """Not done."""
    return Outcome(field, Kind.IGNORED, why)


def ready(model: str, engine: str, host: str, outcomes: Iterable[Outcome]) -> common_pb2.Ready:
    """The acknowledgement of a config."""
    return common_pb2.Ready(model=model, engine=engine, host=host, options=[o.to_proto() for o in outcomes])
