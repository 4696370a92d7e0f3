"""What every engine must do, whatever its slot; a model is loaded once for all tests of a session."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Hashable, Iterator, Sequence
from functools import cache
from typing import Any, ClassVar, TypeVar

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from voxmesh.common.v1 import common_pb2
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.engines import Candidate, find_engine, load_engine
from voxmesh_runtime.host import EngineHost
from voxmesh_runtime.settings import EngineSettings, ServerSettings
from voxmesh_testing.service import StreamConformance
from voxmesh_testing.streams import exchange, serving, wait_for

T = TypeVar("T")


class KeptLoaded:
    """A model that is loaded for its first server and stays so for the next ones.

    Args:
        model: an engine, or a model that is part of one.
        parts: names of the engine's models that its service loads apart from it.
    """

    def __init__(self, model: Any, parts: Sequence[str] = ()) -> None:
        self._kept = model
        there = {name: getattr(model, name, None) for name in parts}
        self._kept_parts = {name: KeptLoaded(part) for name, part in there.items() if part is not None}
        self._is_kept_loaded = False

    def load(self) -> None:
        """Load and warm up the first time."""
        if not self._is_kept_loaded:
            self._kept.load()
            self._kept.warm_up()
            self._is_kept_loaded = True

    def warm_up(self) -> None:
        """Done with `load`."""

    def close(self) -> None:
        """The next server needs the model."""

    def free(self) -> None:
        """No server needs it any more."""
        for part in self._kept_parts.values():
            part.free()
        self._kept.close()
        self._is_kept_loaded = False

    def __getattr__(self, name: str) -> Any:
        return self._kept_parts[name] if name in self._kept_parts else getattr(self._kept, name)


PARTS = {"turn": ("words",)}
"""Models that a slot's service loads apart from its engine, by slot."""


@cache
def shared(slot: str, name: str) -> Any:
    """The engine with its service's defaults that all tests of this process share, loaded."""
    kept = KeptLoaded(load_engine(slot, name)(EngineContext.from_settings(EngineSettings())), PARTS.get(slot, ()))
    kept.load()
    return kept


def hosting(slot: str, engine: Any, settings: EngineSettings) -> EngineHost[Any, Any]:
    """The host of an engine that is no distribution's."""
    return EngineHost(slot, [Candidate("under_test", "0", lambda: engine)], settings)


class EngineConformance(StreamConformance):
    """Rules of an engine beside those of its slot."""

    slot: ClassVar[str]
    engine: ClassVar[str]
    """The name of its entry point."""
    context: ClassVar[EngineContext | None] = None
    """None takes the service's defaults."""
    kept: ClassVar[KeptLoaded | None] = None
    """An engine that other tests have, too; None makes one for this class."""
    _own: ClassVar[dict[type, KeptLoaded]] = {}
    _made: ClassVar[dict[tuple[type, Hashable], Any]] = {}

    @abstractmethod
    def service_of(self, host: EngineHost[Any, Any], settings: Any) -> Any:
        """The slot's service with an engine."""

    @abstractmethod
    async def model_info(self, channel: grpc.aio.Channel) -> common_pb2.ModelInfo:
        """What the service tells of its model."""

    def create(self) -> Any:
        """The engine under test, not yet loaded."""
        context = self.context or EngineContext.from_settings(self.server_settings())
        return load_engine(self.slot, self.engine)(context)

    @property
    def loaded(self) -> Any:
        """The engine under test; all tests have the same, and with the service's defaults those elsewhere too."""
        if self.kept is not None:
            return self.kept
        if self.context is None and type(self).create is EngineConformance.create:
            return shared(self.slot, self.engine)
        own = EngineConformance._own
        if type(self) not in own:
            own[type(self)] = KeptLoaded(self.create(), PARTS.get(self.slot, ()))
        return own[type(self)]

    async def once(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """What `make` gives the first test of the class that asks for it by this key."""
        made = EngineConformance._made
        if (type(self), key) not in made:
            made[type(self), key] = await make()
        return made[type(self), key]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _freed(cls) -> Iterator[None]:
        """Free a model that no other class has after the last test of this one."""
        yield
        own = EngineConformance._own.pop(cls, None)
        if own is not None:
            own.free()

    def service(self, settings: ServerSettings) -> Any:
        """The service under test."""
        assert isinstance(settings, EngineSettings)
        return self.service_of(self._host(settings, self.loaded), settings)

    def _host(self, settings: EngineSettings, engine: Any) -> EngineHost[Any, Any]:
        point = find_engine(self.slot, self.engine)
        version = point.dist.version if point.dist is not None else ""
        return EngineHost(self.slot, [Candidate(self.engine, version, lambda: engine)], settings)

    async def test_the_engine_is_called_as_its_entry_point_is(self) -> None:
        settings = self.server_settings()
        async with serving(self.service(settings), settings) as (channel, _):
            info = await self.model_info(channel)
        assert info.engine == self.engine
        assert info.engine_version
        assert info.license
        assert info.model_state == common_pb2.MODEL_STATE_LOADED

    async def test_a_model_that_nobody_uses_is_unloaded_and_loaded_again_on_demand(self) -> None:
        settings = self.server_settings(unload_after_s=0.05)
        assert isinstance(settings, EngineSettings)
        service = self.service_of(self._host(settings, self.create()), settings)
        async with serving(service, settings) as (channel, _):

            async def is_unloaded() -> bool:
                return (await self.model_info(channel)).model_state == common_pb2.MODEL_STATE_UNLOADED

            await wait_for(is_unloaded)
            health = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())  # pyright: ignore[reportAttributeAccessIssue] # untyped stub
            assert health.status == health_pb2.HealthCheckResponse.SERVING
            async with exchange(self.method(channel), self.config()) as stream:
                await stream.until("ready")
                await stream.send(*self.least_work())
                await stream.half_close()
                assert len(await stream.rest()) > 1
            await wait_for(is_unloaded)
