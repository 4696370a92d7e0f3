"""Owns a service's engine: which one it is, its threads, and whether its model is in memory.

    UNLOADED ──first use──► LOADING ──► LOADED ──nobody uses it for a while──► UNLOADED

Whoever uses the engine says so for that time; a service without a time after which its model is
unloaded keeps it from its start to its end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from enum import Enum
from typing import Any, Generic, TypeVar

from voxmesh.common.v1 import common_pb2
from voxmesh_runtime import names
from voxmesh_runtime.engine import EngineInfo, ModelFacts
from voxmesh_runtime.engines import Candidate, Loaded, candidates, load_first
from voxmesh_runtime.errors import Unavailable, VoxmeshError
from voxmesh_runtime.memory import accelerator_bytes, give_back, resident_bytes
from voxmesh_runtime.outcomes import Outcome, ready
from voxmesh_runtime.settings import EngineSettings
from voxmesh_runtime.stepper import Stepper
from voxmesh_runtime.streams import Streams
from voxmesh_runtime.thread import NICENESS, ModelThread

log = logging.getLogger(__name__)

EngineT = TypeVar("EngineT")
InfoT = TypeVar("InfoT", bound=EngineInfo)


class State(Enum):
    """Whether the model is in memory; the numbers are the contract's."""

    LOADED = common_pb2.MODEL_STATE_LOADED
    UNLOADED = common_pb2.MODEL_STATE_UNLOADED
    LOADING = common_pb2.MODEL_STATE_LOADING


class EngineHost(Generic[EngineT, InfoT]):
    """The engine of a service.

    Args:
        slot: names the threads.
        among: the operator's engines, first choice first.
        settings: of the service.
        niceness: how far the model gives way to others of the host.
    """

    def __init__(
        self, slot: str, among: Sequence[Candidate], settings: EngineSettings, *, niceness: int = NICENESS
    ) -> None:
        self.thread = ModelThread(slot, niceness)
        self._slot = slot
        self._among = among
        self._settings = settings
        self._niceness = niceness
        self.state = State.UNLOADED
        """Whether the model is in memory."""
        self._loaded: Loaded | None = None
        self._info: InfoT | None = None
        self._loading: asyncio.Task[None] | None = None
        self._users = 0
        self._idle: asyncio.TimerHandle | None = None
        self._steppers: dict[Stepper, int] = {}

    @classmethod
    def of(cls, slot: str, settings: EngineSettings, *, niceness: int = NICENESS) -> EngineHost[EngineT, InfoT]:
        """The host of the operator's engines.

        Raises:
            NotFound: there is no such engine, and nothing to fall back on.
        """
        return cls(slot, candidates(slot, settings), settings, niceness=niceness)

    @property
    def engine(self) -> EngineT:
        """The engine that was chosen; its model may be unloaded unless it is in use."""
        if self._loaded is None:
            raise RuntimeError("start() comes before the first use")
        return self._loaded.engine

    @property
    def name(self) -> str:
        """The name of that engine."""
        return "" if self._loaded is None else self._loaded.name

    @property
    def info(self) -> InfoT:
        """What the model is and can do, in memory or not."""
        if self._info is None:
            raise RuntimeError("start() comes before the first use")
        return self._info

    @property
    def facts(self) -> ModelFacts:
        """What every engine tells of its model."""
        return self.info.facts

    @property
    def span_attributes(self) -> dict[str, Any]:
        """What a span of the model's work says of it."""
        return {names.ENGINE: self.name, names.GEN_AI_REQUEST_MODEL: self.facts.model}

    @property
    def parallel(self) -> int:
        """Streams whose work may run at once; no more than the service takes."""
        return min(self.facts.parallel, self._settings.max_streams)

    async def start(self) -> None:
        """Load and warm up the first engine that can be, whenever its model is to be unloaded later."""
        await self._load()

    async def stop(self) -> None:
        """Free the model after the step in progress, and end the threads."""
        self._stay()
        self.thread.post(self._close_loaded)
        for thread in [*(stepper.thread for stepper in self._steppers), self.thread]:
            await thread.close()

    @asynccontextmanager
    async def using(self) -> AsyncGenerator[Stepper]:
        """The model in memory for the time of a block, and the thread for one stream's work.

        Raises:
            Unavailable: the model cannot be loaded again.
        """
        self._users += 1
        self._stay()
        try:
            await self._load()
            stepper = self._freest()
            self._steppers[stepper] += 1
            try:
                yield stepper
            finally:
                self._steppers[stepper] -= 1
        finally:
            self._users -= 1
            self._unload_later()

    def ready(self, outcomes: Iterable[Outcome]) -> common_pb2.Ready:
        """The acknowledgement of a config."""
        return ready(self.facts.model, self.name, self._settings.host_name, outcomes)

    def model_info(self, streams: Streams) -> common_pb2.ModelInfo:
        """The model with the state of the server's streams."""
        loaded = self._loaded
        return model_info(
            self.facts,
            streams,
            engine=self.name,
            engine_version="" if loaded is None else loaded.version,
            engine_reason="" if loaded is None else loaded.reason,
            state=self.state,
        )

    async def _load(self) -> None:
        if self.state is State.LOADED:
            return
        if self._loading is None:
            # A task of its own: the caller may leave, and others wait for the same load.
            self.state = State.LOADING
            self._loading = asyncio.create_task(self._bring_in())
            self._loading.add_done_callback(_seen)
        await asyncio.shield(self._loading)

    async def _bring_in(self) -> None:
        try:
            await self.thread.call(self._load_first if self._loaded is None else self._load_again)
        except BaseException:
            self.state = State.UNLOADED
            raise
        finally:
            self._loading = None
        self.state = State.LOADED
        self._make_threads()
        self._unload_later()

    def _load_first(self) -> None:
        self._loaded = load_first(self._among)
        self._info = self._loaded.engine.info

    def _close_loaded(self) -> None:
        if self._loaded is not None and self.state is not State.UNLOADED:
            self._loaded.engine.close()

    def _load_again(self) -> None:
        engine: Any = self.engine
        try:
            engine.load()
            engine.warm_up()
        except Exception as error:
            engine.close()
            log.exception("the model cannot be loaded again", extra={"engine": self.name})
            if isinstance(error, VoxmeshError):
                raise
            raise Unavailable(f"the model cannot be loaded again ({type(error).__name__}); try later") from error
        self._info = engine.info

    def _make_threads(self) -> None:
        if self._steppers:
            return
        batch = getattr(self.info, "max_batch_size", 1)
        threads = [self.thread] if self.facts.parallel == 1 else self._threads(self.parallel)
        step = getattr(self.engine, "step", None) if batch > 1 else None
        self._steppers = {Stepper(thread, step, batch): 0 for thread in threads}

    def _threads(self, count: int) -> list[ModelThread]:
        return [ModelThread(f"{self._slot}-{number}", self._niceness) for number in range(count)]

    def _freest(self) -> Stepper:
        return min(self._steppers, key=self._steppers.__getitem__)

    def _stay(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _unload_later(self) -> None:
        after_s = self._settings.unload_after_s
        if after_s is None or self._users or self.state is not State.LOADED:
            return
        self._stay()
        self._idle = asyncio.get_running_loop().call_later(after_s, self._unload)

    def _unload(self) -> None:
        # Whoever comes from now on loads it again, on the same thread and so after this.
        self._idle = None
        self.state = State.UNLOADED
        self.thread.post(_freeing(self.engine))
        log.info("the model is unloaded, for nobody uses it", extra={"engine": self.name})


def model_info(  # what a contract's message has
    facts: ModelFacts,
    streams: Streams,
    *,
    engine: str,
    engine_version: str,
    engine_reason: str = "",
    state: State = State.LOADED,
) -> common_pb2.ModelInfo:
    """What a service tells of its model."""
    return common_pb2.ModelInfo(
        model=facts.model,
        engine=engine,
        engine_version=engine_version,
        license=facts.license,
        device=facts.device,
        device_reason=facts.device_reason,
        host=streams.settings.host_name,
        language_codes=facts.language_codes,
        max_streams=streams.settings.max_streams,
        active_streams=streams.active_count,
        engine_reason=engine_reason,
        resident_memory_bytes=resident_bytes(),
        accelerator_memory_bytes=None if facts.device == "cpu" else accelerator_bytes(),
        model_state=common_pb2.ModelState.ValueType(state.value),
    )


def _seen(loading: asyncio.Task[None]) -> None:
    """Whoever waited for it has its error; where nobody did, asyncio need not complain."""
    if not loading.cancelled():
        loading.exception()


def _freeing(engine: Any) -> Callable[[], None]:
    def free() -> None:
        engine.close()
        give_back()

    return free
