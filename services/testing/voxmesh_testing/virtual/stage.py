"""A whole mesh in one loop: coordinators that are true from their streams on, among fakes of everything else."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from voxmesh.conversation.v1 import conversation_pb2, conversation_pb2_grpc
from voxmesh_coordinator.registry import BackendRegistry
from voxmesh_coordinator.sessions import Sessions
from voxmesh_coordinator.settings import CoordinatorSettings
from voxmesh_runtime.streams import AnyContext, Streams
from voxmesh_testing.virtual.caller import Caller, spoken, typed
from voxmesh_testing.virtual.llm import FakeLanguageModel
from voxmesh_testing.virtual.loop import virtual_clock
from voxmesh_testing.virtual.network import Network
from voxmesh_testing.virtual.service import FakeService
from voxmesh_testing.virtual.store import FakeStore, StoreHandle
from voxmesh_testing.virtual.stt import FakeRecognizer
from voxmesh_testing.virtual.tts import FakeVoice
from voxmesh_testing.virtual.turn import FakeTurnDetector
from voxmesh_testing.virtual.vlm import FakeVision

Request = conversation_pb2.ConverseRequest
Response = conversation_pb2.ConverseResponse
Stub = conversation_pb2_grpc.ConversationServiceStub

Fake = TypeVar("Fake", bound=FakeService)

SLOTS = ("turn", "stt", "llm", "tts", "vlm")
ADDRESS = "coordinator"
"""Where callers look for a coordinator."""


class Replica(conversation_pb2_grpc.ConversationServiceServicer):
    """One coordinator: its sessions and backends are the true ones, its streams come over the network in memory."""

    def __init__(self, network: Network, name: str, store: FakeStore | None, settings: CoordinatorSettings) -> None:
        self.name = name
        self.settings = settings
        self.streams = Streams(settings)
        self.streams.loaded()
        self._network = network
        self._store: StoreHandle | None = store.handle() if store is not None else None
        connect = partial(network.channel, owner=name)
        self.registry = BackendRegistry(settings, clock=virtual_clock(), connect=connect)
        self.sessions = Sessions(self.registry, self._store)
        self._server = network.serve(
            name, partial(conversation_pb2_grpc.add_ConversationServiceServicer_to_server, self)
        )
        self._is_stopped = False

    async def Converse(  # noqa: N802 # pyright: ignore[reportIncompatibleMethodOverride] # the contract's name
        self, request_iterator: AsyncIterator[Request], context: AnyContext
    ) -> None:
        """Hold one conversation."""
        async with self.streams.open(request_iterator, context, Response) as call:
            kind, first = await call.first("config", "resume")
            if kind == "resume":
                await self.sessions.resume(call, first.resume)
            else:
                await self.sessions.begin(call, first.config)

    async def ListTurnReports(  # noqa: N802 # pyright: ignore[reportIncompatibleMethodOverride] # the contract's name
        self, request: conversation_pb2.ListTurnReportsRequest, context: AnyContext
    ) -> conversation_pb2.ListTurnReportsResponse:
        """Where the time of recent turns went."""
        del context
        return conversation_pb2.ListTurnReportsResponse(turns=self.registry.reports.find(request))

    async def GetStatus(  # noqa: N802 # pyright: ignore[reportIncompatibleMethodOverride] # the contract's name
        self, request: conversation_pb2.GetStatusRequest, context: AnyContext
    ) -> conversation_pb2.GetStatusResponse:
        """How the services behind it are."""
        del request, context
        return conversation_pb2.GetStatusResponse(slots=await self.registry.look(), host=self.settings.host_name)

    async def kill(self) -> None:
        """Die without a word: from now on nothing that it does reaches anybody."""
        if self._store is not None:
            self._store.is_dead = True
        self._network.kill(self.name)
        await self._clean_up()

    async def drain(self) -> None:
        """Stop as a server does on SIGTERM, and end."""
        self._server.is_serving = False
        self._network.tell()
        await self.streams.drain()
        self._network.kill(self.name)
        await self._clean_up()

    async def stop(self) -> None:
        """End, however it stands."""
        if not self._is_stopped:
            self.streams.end()
            await self._clean_up()

    async def _clean_up(self) -> None:
        if not self._is_stopped:
            self._is_stopped = True
            await self.sessions.stop()
            await self.registry.close()


class Stage:
    """What a test sees of a mesh: one fake of each service, coordinators, and who calls them.

    Args:
        settings: of every coordinator.
        has_store: coordinators share a store; else sessions are in their memory alone.
    """

    def __init__(self, settings: dict[str, Any], *, has_store: bool) -> None:
        self.network = Network()
        self.turn = self.serve("turn", FakeTurnDetector())
        self.stt = self.serve("stt", FakeRecognizer())
        self.llm = self.serve("llm", FakeLanguageModel())
        self.tts = self.serve("tts", FakeVoice())
        self.vlm = self.serve("vlm", FakeVision())
        self.store = FakeStore() if has_store else None
        self.replicas: dict[str, Replica] = {}
        self._settings = settings

    def serve(self, name: str, fake: Fake) -> Fake:
        """Put a fake service at an address."""
        self.network.serve(name, fake.register)
        return fake

    def start(self, name: str, **changes: Any) -> Replica:
        """Start a coordinator; callers find the first one."""
        targets = {f"{slot}_target": slot for slot in SLOTS}
        chosen: dict[str, Any] = {**targets, "connect_timeout_s": 2.0, "host_name": name, **self._settings, **changes}
        replica = self.replicas[name] = Replica(self.network, name, self.store, CoordinatorSettings(**chosen))
        if len(self.replicas) == 1:
            self.network.lead(ADDRESS, name)
        return replica

    def talk(self, target: str = ADDRESS, **how: Any) -> AbstractAsyncContextManager[Caller]:
        """A spoken conversation; see `caller.spoken`."""
        return spoken(self.network, target, **how)

    def chat(self, target: str = ADDRESS, **how: Any) -> AbstractAsyncContextManager[Caller]:
        """A typed conversation with replies in text alone; see `caller.typed`."""
        return typed(self.network, target, **{"text_replies_only": True, **how})

    def stub(self, target: str = ADDRESS) -> Stub:
        """A coordinator without a client library."""
        return Stub(self.network.channel(target))

    async def take_over(self) -> None:
        """Kill the first coordinator, and let its callers find the second."""
        first, second = list(self.replicas.values())[:2]
        await first.kill()
        self.network.lead(ADDRESS, second.name)


@asynccontextmanager
async def mesh(*replicas: str, has_store: bool | None = None, **settings: Any) -> AsyncGenerator[Stage]:
    """A mesh with coordinators of these names, by default one; several share a store.

    Args:
        replicas: their names.
        has_store: sessions are kept in a store; by default where there are several coordinators.
        settings: of every coordinator.
    """
    names = replicas or ("one",)
    # What jitters does so alike in every run.
    random.seed(len(names))
    there = Stage(settings, has_store=len(names) > 1 if has_store is None else has_store)
    for name in names:
        there.start(name)
    try:
        yield there
    finally:
        await asyncio.gather(*(replica.stop() for replica in there.replicas.values()))
