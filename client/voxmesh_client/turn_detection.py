"""Turn detection: audio in, speech and end-of-turn events out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from voxmesh.turn.v1 import turn_pb2, turn_pb2_grpc
from voxmesh_client.endpoint import Endpoint
from voxmesh_client.limits import audio_pieces
from voxmesh_client.stream import Stream

Request = turn_pb2.StreamingDetectRequest
Response = turn_pb2.StreamingDetectResponse
DetectionStream: TypeAlias = "Stream[Request, Response]"


class TurnDetection:
    """The turn detection service."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._stub = turn_pb2_grpc.TurnDetectionServiceStub(endpoint.channel)

    async def info(self) -> turn_pb2.GetModelInfoResponse:
        """The served models."""
        return await self._endpoint.call(self._stub.GetModelInfo, turn_pb2.GetModelInfoRequest())

    def open(
        self, config: turn_pb2.TurnDetectionConfig, timeout_s: float | None = None
    ) -> AbstractAsyncContextManager[DetectionStream]:
        """A stream for the time of a block."""
        return self._endpoint.stream(self._stub.StreamingDetect, Request(config=config), timeout_s)

    async def detect(
        self, audio: AsyncIterable[bytes], config: turn_pb2.TurnDetectionConfig, timeout_s: float | None = None
    ) -> AsyncGenerator[Response]:
        """Events of one recording: `speech_started`, `speech_stopped` and `end_of_turn`.

        Raises:
            MeshError: the service refuses or fails.
        """
        async with self.open(config, timeout_s) as stream:
            async for kind, response in stream.exchange(_requests(audio)):
                if kind != "going_away":
                    yield response


async def _requests(audio: AsyncIterable[bytes]) -> AsyncGenerator[Request]:
    async for chunk in audio:
        for piece in audio_pieces(chunk):
            yield Request(audio=piece)
