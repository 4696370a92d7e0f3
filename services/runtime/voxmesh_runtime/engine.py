"""What every engine is, whatever its slot; each slot adds how its model is run.

    Engine   the loaded model, shared by all streams
     ├─ stt     open() -> Session, step([Step]) -> [[Transcript]]
     ├─ tts     open() -> Session, Session.synthesize(clause) -> iterator of pieces
     ├─ vlm     analyze(request) -> iterator of outputs
     ├─ embed   embed([Text]) -> [Vector]
     └─ turn    open() -> Session, judge([Samples]) -> [probability]

The rule of threads, for all slots: `load`, `warm_up`, `close` and everything that runs the model
are called on the engine's one thread, one after another. Where `ModelFacts.parallel` is above 1,
each stream has one of so many threads, which calls whatever belongs to that stream; `load`,
`warm_up` and `close` come while no stream is open. What a slot calls elsewhere, its own protocol
says.

An engine's distribution has an entry point in the group `voxmesh.<slot>.engines` that names a
`create(EngineContext) -> Engine`. The entry point's name is the engine's, and is written nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.quoting import quote
from voxmesh_runtime.settings import ServerSettings


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


NO_LIMIT = 1_000_000
"""As many streams as the service takes."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What every engine tells of its loaded model."""

    model: str
    license: str
    device: str = "cpu"
    device_reason: str = ""
    language_codes: tuple[str, ...] = ()
    parallel: int = 1
    """Streams whose work may run at once, each on a thread of its own; above 1 for an engine whose
    library shares a model among threads, `NO_LIMIT` for one that waits for another server."""

    def require_model(self, wanted: str) -> None:
        """Refuse a config that asks for another model than the loaded one.

        Raises:
            FailedPrecondition: `wanted` is set and is not this model.
        """
        if wanted and wanted != self.model:
            message = f"model {quote(wanted)} is not loaded here; this service serves {quote(self.model)}"
            raise FailedPrecondition("model", wanted, message)


class EngineInfo(Protocol):
    """What a slot's description of the model has at least."""

    @property
    def facts(self) -> ModelFacts:
        """What every engine tells."""
        ...


InfoT_co = TypeVar("InfoT_co", bound=EngineInfo, covariant=True)


class Engine(Protocol[InfoT_co]):
    """A model that is loaded and freed, as often as the runtime likes."""

    @property
    def info(self) -> InfoT_co:
        """What the model is and can do; complete after `load`."""
        ...

    def load(self) -> None:
        """Fetch and load the model; does nothing when it is loaded.

        Raises:
            VoxmeshError: it cannot be; the message says what the operator can do.
        """
        ...

    def warm_up(self) -> None:
        """Run once, so that the first caller does not pay for it."""
        ...

    def close(self) -> None:
        """Let go of the model and all that belongs to it; `load` may follow."""
        ...
