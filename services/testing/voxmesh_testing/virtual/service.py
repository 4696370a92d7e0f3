"""What all fake services have in common: streams by the real rules, moments of trouble, stamps by the loop's clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from google.protobuf.message import Message

from voxmesh.common.v1 import common_pb2
from voxmesh_runtime.clock import duration, timestamp
from voxmesh_runtime.errors import FailedPrecondition, VoxmeshError
from voxmesh_runtime.outcomes import Outcome, ready
from voxmesh_runtime.settings import ServerSettings
from voxmesh_runtime.streams import AnyContext, StreamCall, Streams
from voxmesh_testing.virtual.loop import virtual_clock

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)


class FakeService:
    """One server's part of a slot.

    Args:
        engine: what it names itself.
        host: where it says that it runs.
        languages: BCP-47 tags that it says it takes.
        settings: of its server.
    """

    def __init__(
        self,
        engine: str,
        host: str = "somewhere",
        languages: Iterable[str] = (),
        settings: ServerSettings | None = None,
    ) -> None:
        self.clock = virtual_clock()
        self.engine, self.host, self.languages = engine, host, tuple(languages)
        self.streams = Streams(settings or ServerSettings(host_name=host))
        self.streams.loaded()
        self.refusal: VoxmeshError | None = None
        """Every config is refused with it."""
        self.opening_s = 0.002
        """Time to accept a stream, in seconds."""
        self._goes_on = asyncio.Event()
        self._goes_on.set()
        self._breaking: asyncio.Future[VoxmeshError] = asyncio.get_running_loop().create_future()

    def register(self, server: Any) -> None:
        """Add it to a server."""
        raise NotImplementedError

    def stand_still(self) -> None:
        """Keep streams open, and answer nothing until `go_on`."""
        self._goes_on.clear()

    def go_on(self) -> None:
        """Work again."""
        self._goes_on.set()

    def break_streams(self, error: VoxmeshError) -> None:
        """Every open stream fails with this error now; new ones work."""
        breaking, self._breaking = self._breaking, asyncio.get_running_loop().create_future()
        breaking.set_result(error)

    async def works(self, seconds: float = 0.0) -> None:
        """Wait as long as some work takes, and while the service stands still."""
        if seconds:
            await asyncio.sleep(seconds)
        await self._goes_on.wait()

    @asynccontextmanager
    async def stream(
        self, requests: AsyncIterator[Request], context: AnyContext, response_type: type[Response]
    ) -> AsyncGenerator[tuple[StreamCall[Request, Response], asyncio.TaskGroup]]:
        """A stream that is admitted, and tasks that end with it."""
        async with self.streams.open(requests, context, response_type) as call, asyncio.TaskGroup() as tasks:
            broken = tasks.create_task(_fail_with(self._breaking))
            await self.works(self.opening_s)
            if self.refusal is not None:
                raise self.refusal
            yield call, tasks
            broken.cancel()

    def check_model(self, name: str) -> None:
        """Refuse another model than the one there is.

        Raises:
            FailedPrecondition: it is another.
        """
        if name not in {"", self.model}:
            raise FailedPrecondition("model", name, f"the model here is {self.model}; leave it unset")

    @property
    def model(self) -> str:
        """What it serves."""
        return f"{self.engine}/model"

    def ready(self, options: Iterable[Outcome] = ()) -> common_pb2.Ready:
        """The acknowledgement of a config."""
        return ready(self.model, self.engine, self.host, options)

    def model_info(self) -> common_pb2.ModelInfo:
        """What every service tells of its model."""
        return common_pb2.ModelInfo(
            model=self.model,
            engine=self.engine,
            host=self.host,
            language_codes=self.languages,
            max_streams=self.streams.settings.max_streams,
            active_streams=self.streams.active_count,
            model_state=common_pb2.MODEL_STATE_LOADED,
        )

    def work(self) -> Work:
        """The stamps of work that begins to arrive now."""
        return Work(self, self.clock.wall_ns())


async def _fail_with(breaking: asyncio.Future[VoxmeshError]) -> None:
    raise await asyncio.shield(breaking)


@dataclass(slots=True)
class Work:
    """Stamps of one unit of work, as `voxmesh_runtime.clock.WorkClock` makes them, by the loop's clock."""

    service: FakeService
    received_ns: int
    started_ns: int | None = None
    first_output_ns: int | None = None

    def start(self) -> None:
        """The work begins now."""
        self.started_ns = self.service.clock.wall_ns()

    def output(self) -> None:
        """An output leaves now; only the first counts."""
        self.first_output_ns = self.first_output_ns or self.service.clock.wall_ns()

    def timing(self, *, is_output: bool = False) -> common_pb2.Timing:
        """The stamps of work that is finished now."""
        now_ns = self.service.clock.wall_ns()
        if is_output:
            self.output()
        started_ns = now_ns if self.started_ns is None else self.started_ns
        return common_pb2.Timing(
            received_time=timestamp(self.received_ns),
            started_time=timestamp(started_ns),
            first_output_time=None if self.first_output_ns is None else timestamp(self.first_output_ns),
            finished_time=timestamp(now_ns),
            compute_duration=duration((now_ns - started_ns) / 1e9),
            queue_duration=duration(0.0),
            batch_size=1,
        )


def is_set(message: Any, field: str) -> bool:  # any message
    """A field of a config is set by the caller."""
    return any(descriptor.name == field for descriptor, _ in message.ListFields())
