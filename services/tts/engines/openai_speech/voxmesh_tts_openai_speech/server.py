"""Requests to the server: what it lists, and the audio of one text while it arrives."""

from __future__ import annotations

import json
import logging
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.proxies import direct_mounts
from voxmesh_runtime.upstreams import ServerFailure, quoted_reason, refused
from voxmesh_tts_openai_speech.incoming import Incoming
from voxmesh_tts_openai_speech.settings import OpenAiSpeechSettings
from voxmesh_tts_openai_speech.voices import listed_voices

log = logging.getLogger(__name__)

_OK = 200
_MAX_JSON_BYTES = 1024 * 1024
_CHUNK_BYTES = 1920
"""Audio is passed on from this size on, 40 ms of raw samples; so a server that drips is a silent one."""


@dataclass(frozen=True, slots=True)
class Way:
    """How audio is asked for."""

    response_format: str
    is_streamed: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """How a stream's texts are to be spoken."""

    voice: str
    way: Way
    speed: float | None = None
    instructions: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Audio of an answer."""

    samples: Samples
    source_hertz: int
    """The rate that it came in."""


class Server:
    """One address with one model; used on one event loop."""

    def __init__(self, settings: OpenAiSpeechSettings) -> None:
        self.model = ""
        self.sample_rate_hertz: int | None = None
        """What all audio is converted to; None leaves it as it is."""
        self._settings = settings
        headers = {"Accept-Encoding": "identity", "User-Agent": "voxmesh"}
        if settings.api_key is not None:
            headers["Authorization"] = f"Bearer {settings.api_key.get_secret_value()}"
        address = httpx.URL(settings.base_url)
        self._client = httpx.AsyncClient(
            headers=headers,
            # Not left in the address, which the library logs as it is when it is asked to.
            auth=(address.username, address.password) if address.username and settings.api_key is None else None,
            # Every request has deadlines of its own, which count from before the connection.
            timeout=httpx.Timeout(None, connect=settings.connect_timeout_s),
            limits=httpx.Limits(max_connections=settings.max_concurrent_requests + 1),
            mounts=direct_mounts(settings.base_url),
        )
        self._url = str(address.copy_with(userinfo=b"")).rstrip("/")

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def models(self) -> tuple[str, ...]:
        """The models that the server lists.

        Raises:
            ServerFailure: it does not answer, or has no list.
        """
        listed = await self._listing("/models")
        data = listed.get("data") if isinstance(listed, dict) else None
        if not isinstance(data, list):
            raise ServerFailure("the server answered no list of models")
        return tuple(str(model["id"]) for model in data if isinstance(model, dict) and "id" in model)

    async def voices(self) -> dict[str, tuple[str, ...]]:
        """The voices that the server lists, with their languages where it tells them.

        Raises:
            ServerFailure: it does not answer, or has no list.
        """
        return listed_voices(await self._listing("/audio/voices"))

    async def speech(self, text: str, wish: Wish) -> AsyncGenerator[Piece]:
        """The audio of a text, piece by piece; closing the generator closes the connection.

        Raises:
            ServerFailure: there is none, or no more.
        """
        async with self._answered("POST", "/audio/speech", json=self._body(text, wish)) as response:
            kind = _kind(response)
            if _is_no_audio(kind):
                body = await _body(response)
                quote = quoted_reason(body, self._settings.api_key)
                raise ServerFailure(f"the server answered {kind} that is no audio", quote=quote)
            hertz = self._settings.pcm_sample_rate_hertz
            incoming = Incoming(wish.way.response_format, kind, hertz, self.sample_rate_hertz)
            async for part in response.aiter_bytes(_CHUNK_BYTES):
                if len(samples := incoming.feed(part)):
                    yield Piece(samples, incoming.source_hertz)
            is_whole = not response.headers.keys().isdisjoint({"content-length", "transfer-encoding"})
            if len(samples := incoming.end(is_whole=is_whole)):
                yield Piece(samples, incoming.source_hertz)

    def _body(self, text: str, wish: Wish) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self.model, "input": text, "voice": wish.voice, **self._settings.extra_fields}
        body["response_format"] = wish.way.response_format
        if wish.way.is_streamed:
            body["stream_format"] = "audio"
        if wish.speed is not None:
            body["speed"] = wish.speed
        if wish.instructions:
            body["instructions"] = wish.instructions
        return body

    async def _listing(self, path: str) -> Any:
        async with self._answered("GET", path) as response:
            body = await _body(response)
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise ServerFailure(f"the server answered {_kind(response)} that is no JSON") from None

    @asynccontextmanager
    async def _answered(self, method: str, path: str, **content: Any) -> AsyncGenerator[httpx.Response]:
        """An answer with status 200 whose body is still to be read."""
        try:
            async with self._client.stream(method, self._url + path, **content) as response:
                if response.status_code != _OK:
                    body = await _body(response)
                    raise refused(response.status_code, response.headers, body, self._settings.api_key)
                yield response
        except httpx.ConnectTimeout:
            problem = f"no connection to {self._settings.shown_url} within {self._settings.connect_timeout_s:g} s"
            raise ServerFailure(problem, is_transient=True) from None
        except (httpx.ConnectError, ssl.SSLError) as error:
            problem = f"{self._settings.shown_url} cannot be reached ({_cause(error)})"
            raise ServerFailure(problem, is_transient=True) from None
        except httpx.HTTPError as error:
            # The library's own text may show the address with its password.
            raise ServerFailure(f"the answer broke off ({type(error).__name__})", is_transient=True) from None


async def _body(response: httpx.Response) -> bytes:
    body = b""
    async for part in response.aiter_bytes():
        body += part
        if len(body) > _MAX_JSON_BYTES:
            raise ServerFailure(f"the server answered more than {_MAX_JSON_BYTES} bytes")
    return body


def _kind(response: httpx.Response) -> str:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind[:60] if kind and kind.isprintable() else "something"


def _is_no_audio(kind: str) -> bool:
    return kind.startswith("text/") or any(word in kind for word in ("json", "html", "xml"))


def _cause(error: Exception) -> str:
    """The kind of the first error below the libraries' own, such as ConnectionRefusedError."""
    cause: BaseException = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
    return type(cause).__name__
