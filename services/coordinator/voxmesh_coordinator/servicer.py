"""The gRPC side of conversations."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc

from voxmesh.conversation.v1 import conversation_pb2, conversation_pb2_grpc
from voxmesh_coordinator.durability.stores import open_store
from voxmesh_coordinator.registry import BackendRegistry
from voxmesh_coordinator.session.session import Request, Response
from voxmesh_coordinator.sessions import Sessions
from voxmesh_coordinator.settings import CoordinatorSettings
from voxmesh_runtime.streams import AnyContext, Streams


class CoordinatorService(conversation_pb2_grpc.ConversationServiceServicer):
    """Serves conversations; see `voxmesh_runtime.server.Service`."""

    names = (conversation_pb2.DESCRIPTOR.services_by_name["ConversationService"].full_name,)

    def __init__(self, settings: CoordinatorSettings) -> None:
        self.streams = Streams(settings)
        self._settings = settings
        self._sessions: Sessions | None = None

    def register(self, server: grpc.aio.Server) -> None:
        """Add the servicer."""
        conversation_pb2_grpc.add_ConversationServiceServicer_to_server(self, server)

    async def start(self) -> None:
        """Open the store and make the channels; services may come up later than the coordinator."""
        store = await open_store(self._settings.session_store)
        self._sessions = Sessions(BackendRegistry(self._settings), store)

    async def stop(self) -> None:
        """End what clients may have come back to, and close the channels."""
        if self._sessions is not None:
            await self._sessions.stop()
            await self._sessions.services.close()

    async def Converse(  # pyright: ignore[reportIncompatibleMethodOverride] # grpc.aio takes coroutines too
        self, request_iterator: AsyncIterator[Request], context: AnyContext
    ) -> None:
        """Hold one conversation."""
        async with self.streams.open(request_iterator, context, Response) as call:
            kind, first = await call.first("config", "resume")
            if kind == "resume":
                await self._serving.resume(call, first.resume)
            else:
                await self._serving.begin(call, first.config)

    async def ListTurnReports(  # pyright: ignore[reportIncompatibleMethodOverride] # grpc.aio takes coroutines too
        self, request: conversation_pb2.ListTurnReportsRequest, context: AnyContext
    ) -> conversation_pb2.ListTurnReportsResponse:
        """Where the time of recent turns went."""
        del context
        return conversation_pb2.ListTurnReportsResponse(turns=self._serving.services.reports.find(request))

    async def GetStatus(  # pyright: ignore[reportIncompatibleMethodOverride] # grpc.aio takes coroutines too
        self, request: conversation_pb2.GetStatusRequest, context: AnyContext
    ) -> conversation_pb2.GetStatusResponse:
        """How the services behind the coordinator are."""
        del request, context
        slots = await self._serving.services.look()
        return conversation_pb2.GetStatusResponse(slots=slots, host=self._settings.host_name)

    @property
    def _serving(self) -> Sessions:
        if self._sessions is None:
            raise RuntimeError("a call was admitted before start()")
        return self._sessions
