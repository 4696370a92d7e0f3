"""Text generation: a conversation in, the answer as it is written out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from voxmesh.llm.v1 import llm_pb2, llm_pb2_grpc
from voxmesh_client.endpoint import Endpoint, OnReady
from voxmesh_client.stream import Stream

Request = llm_pb2.StreamingGenerateRequest
Response = llm_pb2.StreamingGenerateResponse
GenerationStream: TypeAlias = "Stream[Request, Response]"


class LanguageModel:
    """The language model service."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._stub = llm_pb2_grpc.LanguageModelServiceStub(endpoint.channel)

    async def info(self) -> llm_pb2.GetModelInfoResponse:
        """The upstream's models."""
        return await self._endpoint.call(self._stub.GetModelInfo, llm_pb2.GetModelInfoRequest())

    def open(
        self, config: llm_pb2.GenerationConfig, timeout_s: float | None = None, on_ready: OnReady | None = None
    ) -> AbstractAsyncContextManager[GenerationStream]:
        """A stream for generations one after another, for the time of a block."""
        return self._endpoint.stream(self._stub.StreamingGenerate, Request(config=config), timeout_s, on_ready)

    async def generate(
        self,
        messages: Iterable[llm_pb2.Message],
        config: llm_pb2.GenerationConfig | None = None,
        tools: Sequence[llm_pb2.Tool] = (),
        timeout_s: float | None = None,
        on_ready: OnReady | None = None,
    ) -> AsyncGenerator[Response]:
        """One answer: `text_delta`, `reasoning_delta` and `tool_call` as they come, then `finished`.

        Raises:
            MeshError: the service refuses or fails.
        """
        async with self.open(config or llm_pb2.GenerationConfig(), timeout_s, on_ready) as stream:
            await stream.send(Request(generate=llm_pb2.Generate(messages=messages, tools=tools)))
            await stream.half_close()
            async for kind, response in stream:
                if kind != "going_away":
                    yield response
