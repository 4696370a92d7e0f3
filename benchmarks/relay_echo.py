"""The two echoes that relaying is measured by: `python -m benchmarks.relay_echo bare|runtime`.

Each answers the config at once and every audio message with reply audio of the same bytes. The
port is the one line of standard output; the process ends when standard input ends.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import grpc
import uvloop

from voxmesh.conversation.v1 import conversation_pb2, conversation_pb2_grpc
from voxmesh_runtime.server import running
from voxmesh_runtime.settings import ServerSettings
from voxmesh_runtime.streams import AnyContext, Streams

Request = conversation_pb2.ConverseRequest
Response = conversation_pb2.ConverseResponse

MAX_STREAMS = 1024


class BareEcho(conversation_pb2_grpc.ConversationServiceServicer):
    """As little as grpc.aio allows."""

    async def Converse(  # noqa: N802 # pyright: ignore[reportIncompatibleMethodOverride] # as grpc.aio takes it
        self, request_iterator: AsyncIterator[Request], context: AnyContext
    ) -> None:
        """Answer message by message."""
        async for request in request_iterator:
            await context.write(_echo(request))

    async def ListTurnReports(  # noqa: N802 # pyright: ignore[reportIncompatibleMethodOverride] # as grpc.aio takes it
        self, request: conversation_pb2.ListTurnReportsRequest, context: AnyContext
    ) -> conversation_pb2.ListTurnReportsResponse:
        """It keeps none."""
        del request, context
        return conversation_pb2.ListTurnReportsResponse()

    async def GetStatus(  # noqa: N802 # pyright: ignore[reportIncompatibleMethodOverride] # as grpc.aio takes it
        self, request: conversation_pb2.GetStatusRequest, context: AnyContext
    ) -> conversation_pb2.GetStatusResponse:
        """There is nothing behind it."""
        del request, context
        return conversation_pb2.GetStatusResponse()


class RuntimeEcho(BareEcho):
    """The same as a service of voxmesh; see `voxmesh_runtime.server.Service`."""

    names = (conversation_pb2.DESCRIPTOR.services_by_name["ConversationService"].full_name,)

    def __init__(self, settings: ServerSettings) -> None:
        self.streams = Streams(settings)

    def register(self, server: grpc.aio.Server) -> None:
        """Add the servicer."""
        conversation_pb2_grpc.add_ConversationServiceServicer_to_server(self, server)

    async def start(self) -> None:
        """Nothing to load."""

    async def stop(self) -> None:
        """Nothing to free."""

    async def Converse(  # noqa: N802 # pyright: ignore[reportIncompatibleMethodOverride] # as grpc.aio takes it
        self, request_iterator: AsyncIterator[Request], context: AnyContext
    ) -> None:
        """Answer message by message."""
        async with self.streams.open(request_iterator, context, Response) as call:
            await call.send(_echo(await call.config()))
            async for _, request in call:
                await call.send(_echo(request))


def _echo(request: Request) -> Response:
    audio = request.audio
    return Response(reply_audio=conversation_pb2.ReplyAudio(sequence=audio.sequence, data=audio.data))


async def _serve_bare() -> None:
    server = grpc.aio.server()
    conversation_pb2_grpc.add_ConversationServiceServicer_to_server(BareEcho(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    await _until_input_ends(port)
    await server.stop(None)


async def _serve_runtime() -> None:
    settings = ServerSettings(port=0, max_streams=MAX_STREAMS)
    async with running(RuntimeEcho(settings), settings) as server:
        await _until_input_ends(server.port)


async def _until_input_ends(port: int) -> None:
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    """Serve the echo that the command line names."""
    kinds = {"bare": _serve_bare, "runtime": _serve_runtime}
    uvloop.run(kinds[sys.argv[1]]())


if __name__ == "__main__":
    main()
