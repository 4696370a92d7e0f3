"""Speech synthesis: text in, audio out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from voxmesh.tts.v1 import tts_pb2, tts_pb2_grpc
from voxmesh_client.endpoint import Endpoint, OnReady
from voxmesh_client.limits import text_pieces
from voxmesh_client.stream import Stream

Request = tts_pb2.StreamingSynthesizeRequest
Response = tts_pb2.StreamingSynthesizeResponse
SynthesisStream: TypeAlias = "Stream[Request, Response]"


class TextToSpeech:
    """The text-to-speech service."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._stub = tts_pb2_grpc.TextToSpeechServiceStub(endpoint.channel)

    async def info(self) -> tts_pb2.GetModelInfoResponse:
        """The served model and its voices."""
        return await self._endpoint.call(self._stub.GetModelInfo, tts_pb2.GetModelInfoRequest())

    def open(
        self, config: tts_pb2.SynthesisConfig, timeout_s: float | None = None, on_ready: OnReady | None = None
    ) -> AbstractAsyncContextManager[SynthesisStream]:
        """A stream for segments one after another, for the time of a block."""
        return self._endpoint.stream(self._stub.StreamingSynthesize, Request(config=config), timeout_s, on_ready)

    async def speak(
        self,
        text: AsyncIterable[str],
        config: tts_pb2.SynthesisConfig,
        timeout_s: float | None = None,
        on_ready: OnReady | None = None,
    ) -> AsyncGenerator[tts_pb2.SegmentAudio]:
        """The audio of one segment, in the config's format.

        Args:
            text: pieces to append, at most 50,000 characters together.
            config: how to speak; without `audio_format` the audio is PCM_S16LE at the model's own rate.
            timeout_s: deadline of the whole stream; None takes the settings'.
            on_ready: gets what the service made of the config.

        Raises:
            MeshError: the service refuses or fails.
        """
        async with self.open(config, timeout_s, on_ready) as stream:
            async for kind, response in stream.exchange(_requests(text)):
                if kind == "audio":
                    yield response.audio


async def _requests(text: AsyncIterable[str]) -> AsyncGenerator[Request]:
    async for given in text:
        for piece in text_pieces(given):
            yield Request(text=tts_pb2.SegmentText(text=piece))
    yield Request(end_of_segment=tts_pb2.EndOfSegment())
