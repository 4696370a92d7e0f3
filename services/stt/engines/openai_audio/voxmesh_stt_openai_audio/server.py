"""Requests to the server: what it serves, and one transcription."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np

from voxmesh_runtime.audio import Samples, wav_bytes
from voxmesh_runtime.proxies import direct_mounts
from voxmesh_runtime.upstreams import ServerFailure, quotable, refused
from voxmesh_stt_openai_audio.answers import Answer, answer_of, cleaned
from voxmesh_stt_openai_audio.events import EventLines, StreamedText
from voxmesh_stt_openai_audio.settings import OpenAiAudioSettings

SAMPLE_RATE_HERTZ = 16000
MAX_ANSWER_BYTES = 1024 * 1024
"""Longest answer that is read; that of a minute of speech with all its details has 0.1 MB."""
_MIN_SAMPLES = SAMPLE_RATE_HERTZ // 2
"""Shorter audio is filled up with silence: servers refuse less than 0.1 s."""
_OK = 200


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of one transcription request beside model and audio."""

    language: str = ""
    """ISO-639 code; empty lets the server detect."""
    prompt: str = ""
    is_verbose: bool = False
    wants_words: bool = False
    is_streamed: bool = False


class Server:
    """One address with one model; used on one event loop."""

    def __init__(self, settings: OpenAiAudioSettings) -> None:
        self.model = ""
        self._settings = settings
        headers = {"Accept-Encoding": "identity", "User-Agent": "voxmesh"}
        if settings.api_key is not None:
            headers["Authorization"] = f"Bearer {settings.api_key.get_secret_value()}"
        address = httpx.URL(settings.base_url)
        self._client = httpx.AsyncClient(
            headers=headers,
            # Not left in the address, which the library logs as it is when it is asked to.
            auth=(address.username, address.password) if address.username and settings.api_key is None else None,
            # Every request has a deadline of its own, which counts from before the connection.
            timeout=httpx.Timeout(None, connect=settings.connect_timeout_s),
            mounts=direct_mounts(settings.base_url),
            limits=httpx.Limits(max_connections=settings.max_concurrent_requests + 1),
        )
        self._url = str(address.copy_with(userinfo=b"")).rstrip("/")
        extra = {name: _text(value) for name, value in settings.extra_fields.items()}
        self._fields: dict[str, str] = {"temperature": "0", **extra}

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def models(self) -> tuple[str, ...]:
        """The models that the server lists.

        Raises:
            ServerFailure: it does not answer, or has no list.
        """
        async with self._answered("GET", "/models") as response:
            listed = _json(await _body(response), response)
        data = listed.get("data") if isinstance(listed, dict) else None
        if not isinstance(data, list):
            raise ServerFailure(f"the server answered {_kind(response)} that is no list of models")
        return tuple(str(model["id"]) for model in data if isinstance(model, dict) and "id" in model)

    async def transcribe(self, samples: Samples, form: Form, written: StreamedText | None = None) -> Answer:
        """The text of speech at 16 kHz.

        Args:
            samples: of one utterance.
            form: what is wanted of it.
            written: where a streamed text can be read while it grows.

        Raises:
            ServerFailure: there is none.
        """
        missing = max(0, _MIN_SAMPLES - len(samples))
        wav = wav_bytes(np.pad(samples, (0, missing)), SAMPLE_RATE_HERTZ)
        files = {"file": ("speech.wav", wav, "audio/wav")}
        async with self._answered("POST", "/audio/transcriptions", data=self._data(form), files=files) as response:
            # A server that does not stream answers at once, whatever it was asked.
            if response.headers.get("content-type", "").startswith("text/event-stream"):
                return await self._streamed(response, written or StreamedText())
            body = _json(await _body(response), response)
        answer = answer_of(body, len(samples) / SAMPLE_RATE_HERTZ)
        if answer is None:
            raise ServerFailure(f"the server answered {_kind(response)} that is no transcription")
        return answer

    def _data(self, form: Form) -> dict[str, str | list[str]]:
        data: dict[str, str | list[str]] = {"model": self.model, **self._fields}
        data["response_format"] = "verbose_json" if form.is_verbose else "json"
        if form.wants_words:
            data["timestamp_granularities[]"] = ["word"]
        if form.language:
            data["language"] = form.language
        if form.prompt:
            data["prompt"] = form.prompt
        if form.is_streamed:
            data["stream"] = "true"
        return data

    async def _streamed(self, response: httpx.Response, written: StreamedText) -> Answer:
        lines = EventLines()
        try:
            async for part in _limited(response):
                for data in lines.feed(part):
                    written.take(data)
            for data in lines.end():
                written.take(data)
        except (ValueError, RecursionError):
            raise ServerFailure("the server sent events that are no transcription") from None
        if written.error is not None:
            quote = quotable(written.error, self._settings.api_key)
            raise ServerFailure("the server broke off its answer", quote=quote, is_transient=True)
        if not written.is_whole:
            raise ServerFailure("the answer broke off", is_transient=True)
        text, language = cleaned(written.text)
        return Answer(text, language, is_streamed=True)

    @asynccontextmanager
    async def _answered(self, method: str, path: str, **content: Any) -> AsyncGenerator[httpx.Response]:
        """An answer with status 200 whose body is still to be read."""
        try:
            async with self._client.stream(method, self._url + path, **content) as response:
                if response.status_code != _OK:
                    body = await _body(response)
                    raise refused(response.status_code, _headers(response), body, self._settings.api_key)
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
    return b"".join([part async for part in _limited(response)])


async def _limited(response: httpx.Response) -> AsyncIterator[bytes]:
    size = 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            raise ServerFailure(f"the server answered more than {MAX_ANSWER_BYTES} bytes")
        yield part


def _json(body: bytes, response: httpx.Response) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise ServerFailure(f"the server answered {_kind(response)} that is no JSON") from None


def _kind(response: httpx.Response) -> str:
    kind = response.headers.get("content-type", "").partition(";")[0].strip()
    return kind[:60] if kind and kind.isprintable() else "something"


def _headers(response: httpx.Response) -> Mapping[str, str]:
    return response.headers


def _cause(error: Exception) -> str:
    """The kind of the first error below the libraries' own, such as ConnectionRefusedError."""
    cause: BaseException = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
    return type(cause).__name__


def _text(value: str | float) -> str:
    # Forms have no types; `true` is how servers read a bool.
    return str(value).lower() if isinstance(value, bool) else str(value)
