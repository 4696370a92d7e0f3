"""One answer of a language model, through its proxy or directly: when it began, how long it was, what it said."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from voxmesh.llm.v1 import llm_pb2
from voxmesh_client.bench.minds.upstreams import Address
from voxmesh_client.errors import MeshError
from voxmesh_client.language_model import GenerationStream, LanguageModel, Request
from voxmesh_runtime.chat.reading import AnswerReader
from voxmesh_runtime.http_upstream import HttpUpstream
from voxmesh_runtime.upstreams import ServerFailure

_TIMEOUT_S = 600.0
_CONNECTIONS = 1000


@dataclass(slots=True)
class Answer:
    """Times in seconds from the moment the question is sent."""

    text: str = ""
    first_token_s: float | None = None
    taken_s: float = 0.0
    output_tokens: int = 0
    """With those of thoughts."""
    failure: str = ""

    def take(self, text: str, at_s: float) -> None:
        """Add what came."""
        self.text += text
        if self.first_token_s is None:
            self.first_token_s = at_s

    @property
    def tokens_per_s(self) -> float | None:
        """Once it had begun; None of an answer of one token."""
        if self.first_token_s is None or self.output_tokens < 2 or self.taken_s <= self.first_token_s:  # noqa: PLR2004 # of two ends
            return None
        return (self.output_tokens - 1) / (self.taken_s - self.first_token_s)


class Asks(Protocol):
    """Somebody who can be asked one question after another."""

    async def ask(self, prompt: str) -> Answer:
        """The answer to a question; a failure is told in it."""
        ...


class ThroughProxy:
    """One stream of a proxy."""

    def __init__(self, stream: GenerationStream) -> None:
        self._stream = stream
        self._responses = aiter(stream)

    @classmethod
    @asynccontextmanager
    async def opened(cls, service: LanguageModel, max_tokens: int) -> AsyncGenerator[ThroughProxy]:
        """A stream that is ready."""
        async with service.open(speed_config(max_tokens), _TIMEOUT_S) as stream:
            yield cls(stream)

    async def ask(self, prompt: str) -> Answer:
        """See `Asks`."""
        answer, began = Answer(), time.monotonic()
        message = llm_pb2.Message(role=llm_pb2.Message.ROLE_USER, text=prompt)
        try:
            await self._stream.send(Request(generate=llm_pb2.Generate(messages=[message])))
            async for kind, response in self._responses:
                if kind == "text_delta":
                    answer.take(response.text_delta.text, time.monotonic() - began)
                elif kind == "finished":
                    answer.output_tokens = response.finished.usage.output_tokens
                    break
        except MeshError as error:
            answer.failure = str(error)
        answer.taken_s = time.monotonic() - began
        return answer


class Directly:
    """The upstream itself, by the same request as the proxy's."""

    def __init__(self, http: HttpUpstream, model: str, max_tokens: int) -> None:
        self._http = http
        self._body: dict[str, Any] = {
            "model": model,
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": 0.0,
            "max_tokens": max_tokens,
            "chat_template_kwargs": {"enable_thinking": False},
        }

    @classmethod
    @asynccontextmanager
    async def opened(cls, address: Address, model: str, max_tokens: int) -> AsyncGenerator[Directly]:
        """Connections to an upstream, kept for the time of a block."""
        http = HttpUpstream(address.url, address.key, 5.0, _CONNECTIONS)
        try:
            yield cls(http, model, max_tokens)
        finally:
            await http.close()

    async def ask(self, prompt: str) -> Answer:
        """See `Asks`."""
        began = time.monotonic()
        answer = await self._ask(prompt, began)
        # A connection that the server closed meanwhile is no failure, as it is none of the proxy's.
        return await self._ask(prompt, began) if answer.failure and answer.first_token_s is None else answer

    async def _ask(self, prompt: str, began: float) -> Answer:
        answer = Answer()
        body = {**self._body, "messages": [{"role": "user", "content": prompt}]}
        try:
            async with (
                asyncio.timeout(_TIMEOUT_S),
                self._http.answered("POST", "/chat/completions", json=body) as response,
            ):
                reader = AnswerReader(response.headers.get("content-type", ""))
                async for data in response.aiter_bytes():
                    for event in reader.feed(data):
                        if event.text:
                            answer.take(event.text, time.monotonic() - began)
                        if event.tokens is not None:
                            answer.output_tokens = event.tokens.written
        except (ServerFailure, TimeoutError) as failure:
            answer.failure = str(failure) or "timed out"
        answer.taken_s = time.monotonic() - began
        return answer


def speed_config(max_tokens: int) -> llm_pb2.GenerationConfig:
    """How the proxy is asked where speed is measured."""
    sampling = llm_pb2.Sampling(temperature=0.0, max_output_tokens=max_tokens)
    return llm_pb2.GenerationConfig(sampling=sampling)
