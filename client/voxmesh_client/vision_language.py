"""Pictures in; the text in them, or answers about them, out."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from voxmesh.vlm.v1 import vlm_pb2, vlm_pb2_grpc
from voxmesh_client.endpoint import Endpoint, OnReady
from voxmesh_client.limits import check
from voxmesh_client.stream import Stream

Request = vlm_pb2.StreamingAnalyzeRequest
Response = vlm_pb2.StreamingAnalyzeResponse
AnalysisStream: TypeAlias = "Stream[Request, Response]"

_CHUNK_BYTES = 256 * 1024
MAX_IMAGE_BYTES = 16 * 1024 * 1024
"""Longest file of a picture that a service takes."""
MAX_PROMPT_CHARACTERS = 32_000
"""Longest prompt that a service takes."""


class VisionLanguage:
    """The vision language service."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._stub = vlm_pb2_grpc.VisionLanguageServiceStub(endpoint.channel)

    async def info(self) -> vlm_pb2.GetModelInfoResponse:
        """The served model."""
        return await self._endpoint.call(self._stub.GetModelInfo, vlm_pb2.GetModelInfoRequest())

    def open(
        self, config: vlm_pb2.AnalysisConfig, timeout_s: float | None = None, on_ready: OnReady | None = None
    ) -> AbstractAsyncContextManager[AnalysisStream]:
        """A stream for analyses one after another, for the time of a block."""
        return self._endpoint.stream(self._stub.StreamingAnalyze, Request(config=config), timeout_s, on_ready)

    async def analyze(
        self, image: bytes, analysis: vlm_pb2.Analyze, timeout_s: float | None = None, on_ready: OnReady | None = None
    ) -> AsyncGenerator[Response]:
        """Everything about one picture: `text_delta`, `text_line`, `structured_result`, then `finished`.

        Args:
            image: a PNG, JPEG or WebP file, at most 16 MiB.
            analysis: what to do with it.
            timeout_s: deadline of the whole stream; None takes the settings'.
            on_ready: gets what the service made of the config.

        Raises:
            MeshError: picture or prompt is too long, or the service refuses or fails.
        """
        service = self._endpoint.slot.name
        check(service, "image", len(image), MAX_IMAGE_BYTES, least=1, unit="bytes")
        check(service, "analyze.prompt", len(analysis.prompt), MAX_PROMPT_CHARACTERS)
        async with self.open(vlm_pb2.AnalysisConfig(), timeout_s, on_ready) as stream:
            async for kind, response in stream.exchange(_requests(image, analysis)):
                if kind != "going_away":
                    yield response

    async def read(self, image: bytes, timeout_s: float | None = None) -> AsyncGenerator[vlm_pb2.TextLine]:
        """The lines of text in a picture; see `analyze`."""
        analysis = vlm_pb2.Analyze(task=vlm_pb2.Analyze.TASK_READ_TEXT)
        async for response in self.analyze(image, analysis, timeout_s):
            if response.HasField("text_line"):
                yield response.text_line


async def _requests(image: bytes, analysis: vlm_pb2.Analyze) -> AsyncGenerator[Request]:
    for start in range(0, len(image), _CHUNK_BYTES):
        yield Request(image_chunk=vlm_pb2.ImageChunk(data=image[start : start + _CHUNK_BYTES]))
    yield Request(analyze=analysis)
