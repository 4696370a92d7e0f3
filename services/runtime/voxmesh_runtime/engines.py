"""Find a slot's engines among the installed distributions, and load the first of the operator's that loads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import FailedPrecondition, NotFound
from voxmesh_runtime.quoting import listed, quote
from voxmesh_runtime.settings import EngineSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An engine that may be served.

    Args:
        name: as its entry point has it.
        version: of its distribution.
        create: makes the engine, not yet loaded.
    """

    name: str
    version: str
    create: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Loaded:
    """The engine that is served."""

    name: str
    version: str
    engine: Any
    reason: str = ""
    """Why it is not the operator's first choice; "" if it is."""


def find_engine(slot: str, name: str = "") -> EntryPoint:
    """The entry point of the engine called `name`, of the group `voxmesh.<slot>.engines`; of the only one without.

    Raises:
        NotFound: no installed distribution has it, or several might be meant; the message lists those that are there.
    """
    found = {point.name: point for point in entry_points(group=f"voxmesh.{slot}.engines")}
    if not name and len(found) == 1:
        return next(iter(found.values()))
    installed = f"installed: {listed(sorted(found)) or 'none'}"
    if not name:
        raise NotFound("engine", name, f"choose a {slot} engine with --engine ({installed})")
    if name not in found:
        raise NotFound("engine", name, f"{slot} engine {quote(name)} is not installed ({installed})")
    return found[name]


def load_engine(slot: str, name: str = "") -> Callable[[EngineContext], Any]:
    """The `create` function of the engine called `name`, or of the only one that is installed.

    Raises:
        NotFound: no installed distribution has it.
    """
    return find_engine(slot, name).load()


def candidate(slot: str, name: str, context: EngineContext) -> Candidate:
    """The engine called `name`, or the only one that is installed, for a model of the operator's choice.

    Raises:
        NotFound: no installed distribution has it.
    """
    point = find_engine(slot, name)
    version = point.dist.version if point.dist is not None else ""
    return Candidate(point.name, version, lambda: point.load()(context))


def candidates(slot: str, settings: EngineSettings) -> list[Candidate]:
    """The operator's engines, first choice first.

    Raises:
        NotFound: there is no such engine, and nothing to fall back on.
    """
    context = EngineContext.from_settings(settings)
    if not settings.fallback_engines:
        return [candidate(slot, settings.engine, context)]
    parted = (entry.partition("=") for entry in settings.fallback_engines)
    fallbacks = [(name, replace(context, model=model or None)) for name, _, model in parted]
    return [_late(slot, name, each) for name, each in [(settings.engine, context), *fallbacks]]


def load_first(among: Sequence[Candidate]) -> Loaded:
    """Load and warm up the first engine that can be; blocks.

    Raises:
        FailedPrecondition: none of several can; the message has the reason of each.
        Exception: what the only one raised.
    """
    if len(among) == 1:
        return _loaded(among[0])
    reasons: list[str] = []
    for one in among:
        try:
            return replace(_loaded(one), reason="; ".join(reasons))
        except Exception as error:  # whatever a library raises, the next engine is tried
            log.warning("an engine cannot be loaded", extra={"engine": one.name}, exc_info=error)
            reasons.append(f"{one.name}: {error or type(error).__name__}")
    raise FailedPrecondition("engine", among[0].name, f"no engine can be loaded: {'; '.join(reasons)}")


def _late(slot: str, name: str, context: EngineContext) -> Candidate:
    """A candidate that need not be installed: others are tried in its place."""
    try:
        return candidate(slot, name, context)
    except NotFound as error:
        reason = error

        def refuse() -> Any:
            raise reason

        return Candidate(name, "", refuse)


def _loaded(one: Candidate) -> Loaded:
    engine = one.create()
    try:
        engine.load()
        engine.warm_up()
    except BaseException:
        engine.close()
        raise
    return Loaded(one.name, one.version, engine)
