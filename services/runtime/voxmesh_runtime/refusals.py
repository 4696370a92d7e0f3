"""The refusals that every service makes: each names the field, the limit and, cut short, what came instead."""

from __future__ import annotations

from collections.abc import Iterable

from voxmesh_runtime.errors import InvalidArgument
from voxmesh_runtime.quoting import listed, quote


def check_count(field: str, count: int, most: int, *, least: int = 0, unit: str = "characters") -> None:
    """Refuse what is too long or too short, by its `count` of units.

    Raises:
        InvalidArgument: as "must have 1 to 100 characters, not 8000".
    """
    if not least <= count <= most:
        wanted = f"{least} to {most}" if least else f"at most {most}"
        raise InvalidArgument(field, f"must have {wanted} {unit}, not {count}")


def check_range(field: str, value: float, least: float, most: float, unit: str = "") -> None:
    """Refuse a number outside `least` to `most`, both allowed.

    Raises:
        InvalidArgument: as "must be from 0 to 10 s, not 11 s".
    """
    # Written so that NaN, which compares to nothing, is refused too.
    if not least <= value <= most:
        suffix = f" {unit}" if unit else ""
        problem = f"must be from {_number(least)} to {_number(most)}{suffix}, not {_number(value)}{suffix}"
        raise InvalidArgument(field, problem)


def not_among(value: str, known: Iterable[str], holder: str) -> str:
    """What is wrong with a choice: "'fr' is not supported; the model knows en, kn"."""
    return f"{quote(value)} is not supported; {holder} {listed(known)}"


def _number(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
