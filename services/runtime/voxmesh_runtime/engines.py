"""Find a slot's engine among the installed distributions, or the first that loads, and describe its model."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any

from voxmesh.common.v1 import common_pb2
from voxmesh_runtime.errors import FailedPrecondition, NotFound
from voxmesh_runtime.memory import accelerator_bytes, resident_bytes
from voxmesh_runtime.quoting import listed, quote
from voxmesh_runtime.settings import EngineSettings, ServerSettings
from voxmesh_runtime.streams import Streams

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EngineContext:
    """What the operator decided about an engine's model."""

    model: str | None = None
    """Name, `hub:`, `wheel:` or path; None takes the engine's default."""
    device: str = "auto"
    threads: int = 1
    cache_dir: Path = Path()
    """Folder of downloaded models."""

    @classmethod
    def from_settings(cls, settings: ServerSettings) -> EngineContext:
        """The context of a service's settings."""
        return cls(settings.model, settings.device, settings.threads, settings.cache_dir)


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What every engine tells of its loaded model."""

    model: str
    engine: str
    distribution: str
    """Name of the engine's distribution, whose version is told."""
    license: str
    device: str = "cpu"
    device_reason: str = ""
    engine_reason: str = ""
    language_codes: tuple[str, ...] = ()

    def to_proto(self, streams: Streams) -> common_pb2.ModelInfo:
        """The facts with the state of the server's streams."""
        return common_pb2.ModelInfo(
            model=self.model,
            engine=self.engine,
            engine_version=version(self.distribution),
            license=self.license,
            device=self.device,
            device_reason=self.device_reason,
            host=streams.settings.host_name,
            language_codes=self.language_codes,
            max_streams=streams.settings.max_streams,
            active_streams=streams.active_count,
            engine_reason=self.engine_reason,
            resident_memory_bytes=resident_bytes(),
            accelerator_memory_bytes=None if self.device == "cpu" else accelerator_bytes(),
        )

    def require_model(self, wanted: str) -> None:
        """Refuse a config that asks for another model than the loaded one.

        Raises:
            FailedPrecondition: `wanted` is set and is not this model.
        """
        if wanted and wanted != self.model:
            message = f"model {quote(wanted)} is not loaded here; this service serves {quote(self.model)}"
            raise FailedPrecondition("model", wanted, message)


def load_engine(slot: str, name: str) -> Callable[[EngineContext], Any]:
    """The `create` function of the engine called `name`, of the group `voxmesh.<slot>.engines`.

    Raises:
        NotFound: no installed distribution has it; the message lists those that are there.
    """
    group = f"voxmesh.{slot}.engines"
    found = {point.name: point for point in entry_points(group=group)}
    if name not in found:
        message = f"{slot} engine {quote(name)} is not installed (installed: {listed(sorted(found))})"
        raise NotFound("engine", name, message)
    return found[name].load()


def chosen_engine(slot: str, settings: EngineSettings) -> Any:
    """The operator's engine, not yet loaded; with fallback engines, the first of all that will load.

    Raises:
        NotFound: there is no such engine, and nothing to fall back on.
    """
    context = EngineContext.from_settings(settings)
    if not settings.fallback_engines:
        return load_engine(slot, settings.engine)(context)
    parted = (entry.partition("=") for entry in settings.fallback_engines)
    fallbacks = [(name, replace(context, model=model or None)) for name, _, model in parted]
    return FirstThatLoads(slot, [(settings.engine, context), *fallbacks])


class FirstThatLoads:
    """An engine that is the first of several to load and warm up; which one is decided by `load`.

    Args:
        slot: of all engines.
        candidates: names and contexts, first choice first.
    """

    def __init__(self, slot: str, candidates: list[tuple[str, EngineContext]]) -> None:
        self._slot = slot
        self._candidates = candidates
        self._engine: Any = None
        self._reason = ""

    @property
    def info(self) -> Any:
        """What the engine tells of itself, with the reason why it is not the first choice."""
        info = self._engine.info
        return replace(info, facts=replace(info.facts, engine_reason=self._reason))

    def load(self) -> None:
        """Load the first engine that can be loaded.

        Raises:
            FailedPrecondition: none can; the message has the reason of each.
        """
        if self._engine is not None:
            return
        reasons: list[str] = []
        for name, context in self._candidates:
            try:
                self._engine = self._loaded(name, context)
            except Exception as error:  # whatever a library raises, the next engine is tried
                log.warning("an engine cannot be loaded", extra={"engine": name}, exc_info=error)
                reasons.append(f"{name}: {error or type(error).__name__}")
            else:
                self._reason = "; ".join(reasons)
                return
        raise FailedPrecondition("engine", self._candidates[0][0], f"no engine can be loaded: {'; '.join(reasons)}")

    def warm_up(self) -> None:
        """Nothing: a model is warm before it counts as loaded."""

    def close(self) -> None:
        """Free the model."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _loaded(self, name: str, context: EngineContext) -> Any:
        engine = load_engine(self._slot, name)(context)
        try:
            engine.load()
            engine.warm_up()
        except BaseException:
            engine.close()
            raise
        return engine

    def __getattr__(self, name: str) -> Any:
        if self._engine is not None:
            return getattr(self._engine, name)

        # Services take hold of methods before the engine is loaded.
        def late(*arguments: Any) -> Any:
            return getattr(self._engine, name)(*arguments)

        return late
