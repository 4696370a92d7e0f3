"""Requests to the server: what it lists, and the audio of one text while it arrives."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.http_upstream import HttpUpstream, kind_of_body, whole_body
from voxmesh_runtime.upstreams import ServerFailure, quoted_reason
from voxmesh_tts_openai_speech.incoming import Incoming
from voxmesh_tts_openai_speech.settings import OpenAiSpeechSettings
from voxmesh_tts_openai_speech.voices import listed_voices

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
        self._http = HttpUpstream(
            settings.base_url, settings.api_key, settings.connect_timeout_s, settings.max_concurrent_requests + 1
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def models(self) -> tuple[str, ...]:
        """The models that the server lists.

        Raises:
            ServerFailure: it does not answer, or has no list.
        """
        return await self._http.models()

    async def voices(self) -> dict[str, tuple[str, ...]]:
        """The voices that the server lists, with their languages where it tells them.

        Raises:
            ServerFailure: it does not answer, or has no list.
        """
        return listed_voices(await self._http.asked("GET", "/audio/voices"))

    async def speech(self, text: str, wish: Wish) -> AsyncGenerator[Piece]:
        """The audio of a text, piece by piece; closing the generator closes the connection.

        Raises:
            ServerFailure: there is none, or no more.
        """
        async with self._http.answered("POST", "/audio/speech", json=self._body(text, wish)) as response:
            kind = kind_of_body(response)
            if _is_no_audio(kind):
                quote = quoted_reason(await whole_body(response), self._settings.api_key)
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


def _is_no_audio(kind: str) -> bool:
    return kind.startswith("text/") or any(word in kind for word in ("json", "html", "xml"))
