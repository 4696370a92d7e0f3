"""What every engine must do, whatever its slot; the model is loaded once for all tests of a class."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

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


class KeptLoaded:
    """An engine that is loaded for its first server and stays so for the next ones."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._loaded = False

    def load(self) -> None:
        """Load and warm up the first time."""
        if not self._loaded:
            self._engine.load()
            self._engine.warm_up()
            self._loaded = True

    def warm_up(self) -> None:
        """Done with `load`."""

    def close(self) -> None:
        """The next server needs the model."""

    def free(self) -> None:
        """No server needs it any more."""
        self._engine.close()
        self._loaded = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


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
    _kept: ClassVar[dict[type, KeptLoaded]] = {}

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
        """The engine under test; all tests of the class have the same."""
        kept = EngineConformance._kept
        if type(self) not in kept:
            kept[type(self)] = KeptLoaded(self.create())
        return kept[type(self)]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _freed(cls) -> Iterator[None]:
        """Free the model after the last test of the class."""
        yield
        kept = EngineConformance._kept.pop(cls, None)
        if kept is not None:
            kept.free()

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
                await stream.send(*self.work())
                await stream.half_close()
                assert len(await stream.rest()) > 1
            await wait_for(is_unloaded)
