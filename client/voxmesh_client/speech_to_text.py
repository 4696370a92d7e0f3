"""Speech recognition: audio in, transcripts out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from voxmesh.stt.v1 import stt_pb2, stt_pb2_grpc
from voxmesh_client.endpoint import Endpoint, OnReady
from voxmesh_client.limits import audio_pieces
from voxmesh_client.stream import Stream

Request = stt_pb2.StreamingRecognizeRequest
Response = stt_pb2.StreamingRecognizeResponse
RecognitionStream: TypeAlias = "Stream[Request, Response]"


class SpeechToText:
    """The speech-to-text service."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._stub = stt_pb2_grpc.SpeechToTextServiceStub(endpoint.channel)

    async def info(self) -> stt_pb2.GetModelInfoResponse:
        """The served model."""
        return await self._endpoint.call(self._stub.GetModelInfo, stt_pb2.GetModelInfoRequest())

    def open(
        self, config: stt_pb2.RecognitionConfig, timeout_s: float | None = None, on_ready: OnReady | None = None
    ) -> AbstractAsyncContextManager[RecognitionStream]:
        """A stream for utterances one after another, for the time of a block."""
        return self._endpoint.stream(self._stub.StreamingRecognize, Request(config=config), timeout_s, on_ready)

    async def transcribe(
        self,
        audio: AsyncIterable[bytes],
        config: stt_pb2.RecognitionConfig,
        timeout_s: float | None = None,
        on_ready: OnReady | None = None,
    ) -> AsyncGenerator[stt_pb2.RecognitionResult]:
        """Results of one recording, interim ones if the config asks for them.

        Args:
            audio: whole samples in the config's format, in pieces of any length.
            config: recognition options.
            timeout_s: deadline of the whole stream; None takes the settings'.
            on_ready: gets what the service made of the config.

        Raises:
            MeshError: the service refuses or fails.
        """
        async with self.open(config, timeout_s, on_ready) as stream:
            async for kind, response in stream.exchange(_requests(audio)):
                if kind == "result":
                    yield response.result


async def _requests(audio: AsyncIterable[bytes]) -> AsyncGenerator[Request]:
    async for chunk in audio:
        for piece in audio_pieces(chunk):
            yield Request(audio=piece)
