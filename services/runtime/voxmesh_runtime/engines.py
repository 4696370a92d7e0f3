"""Find a slot's engine among the installed distributions and describe its model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any

from voxmesh.common.v1 import common_pb2
from voxmesh_runtime.errors import FailedPrecondition, NotFound
from voxmesh_runtime.settings import ServerSettings
from voxmesh_runtime.streams import Streams


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
        )

    def require_model(self, wanted: str) -> None:
        """Refuse a config that asks for another model than the loaded one.

        Raises:
            FailedPrecondition: `wanted` is set and is not this model.
        """
        if wanted and wanted != self.model:
            raise FailedPrecondition(
                "model", wanted, f"model {wanted!r} is not loaded here; this service serves {self.model!r}"
            )


def load_engine(slot: str, name: str) -> Callable[[EngineContext], Any]:
    """The `create` function of the engine called `name`, of the group `voxmesh.<slot>.engines`.

    Raises:
        NotFound: no installed distribution has it; the message lists those that are there.
    """
    group = f"voxmesh.{slot}.engines"
    found = {point.name: point for point in entry_points(group=group)}
    if name not in found:
        names = ", ".join(sorted(found)) or "none"
        raise NotFound("engine", name, f"{slot} engine {name!r} is not installed (installed: {names})")
    return found[name].load()
