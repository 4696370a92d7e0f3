"""Requests to the server: what it lists, and the vectors of several texts."""

from __future__ import annotations

import json
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from voxmesh_embed_openai_embeddings.answers import Answer, answer_of
from voxmesh_embed_openai_embeddings.settings import OpenAiEmbeddingsSettings
from voxmesh_runtime.proxies import direct_mounts
from voxmesh_runtime.upstreams import ServerFailure, refused

_OK = 200
_MAX_ANSWER_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Listed:
    """A model that the server lists."""

    name: str
    max_tokens: int | None = None


class Server:
    """One address with one model; used on one event loop."""

    def __init__(self, settings: OpenAiEmbeddingsSettings) -> None:
        self.model = ""
        self.encoding_format = "base64"
        self.dimensions: int | None = None
        """Of every vector; None until one was seen."""
        self._settings = settings
        headers = {"User-Agent": "voxmesh"}
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

    async def models(self) -> tuple[Listed, ...]:
        """The models that the server lists.

        Raises:
            ServerFailure: it does not answer, or has no list.
        """
        listed = await self._asked("GET", "/models")
        data = listed.get("data") if isinstance(listed, dict) else None
        if not isinstance(data, list):
            raise ServerFailure("the server answered no list of models")
        return tuple(_listed(model) for model in data if isinstance(model, dict) and "id" in model)

    async def embed(self, texts: Sequence[str], shorter: int | None = None) -> Answer:
        """The vectors of texts, in their order.

        Args:
            texts: at least one.
            shorter: dimensions to ask for; unset takes the model's own.

        Raises:
            ServerFailure: there are none, or they are not what was asked for.
        """
        body: dict[str, Any] = {
            **self._settings.extra_fields,
            "model": self.model,
            "input": list(texts),
            "encoding_format": self.encoding_format,
        }
        if shorter is not None:
            body["dimensions"] = shorter
        return answer_of(await self._asked("POST", "/embeddings", json=body), len(texts), shorter or self.dimensions)

    async def _asked(self, method: str, path: str, **content: Any) -> Any:
        """The JSON of an answer with status 200."""
        try:
            async with self._client.stream(method, self._url + path, **content) as response:
                body = await _body(response)
        except httpx.ConnectTimeout:
            problem = f"no connection to {self._settings.shown_url} within {self._settings.connect_timeout_s:g} s"
            raise ServerFailure(problem, is_transient=True) from None
        except (httpx.ConnectError, ssl.SSLError) as error:
            problem = f"{self._settings.shown_url} cannot be reached ({_cause(error)})"
            raise ServerFailure(problem, is_transient=True) from None
        except httpx.HTTPError as error:
            # The library's own text may show the address with its password.
            raise ServerFailure(f"the answer broke off ({type(error).__name__})", is_transient=True) from None
        if response.status_code != _OK:
            raise refused(response.status_code, response.headers, body, self._settings.api_key)
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise ServerFailure(f"the server answered {_kind(response)} that is no JSON") from None


def _listed(model: dict[str, Any]) -> Listed:
    longest = model.get("max_model_len")
    return Listed(str(model["id"]), longest if isinstance(longest, int) and longest > 0 else None)


async def _body(response: httpx.Response) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_bytes():
        parts.append(part)
        size += len(part)
        if size > _MAX_ANSWER_BYTES:
            raise ServerFailure(f"the server answered more than {_MAX_ANSWER_BYTES} bytes")
    return b"".join(parts)


def _kind(response: httpx.Response) -> str:
    kind = response.headers.get("content-type", "").partition(";")[0].strip()
    return kind[:60] if kind and kind.isprintable() else "something"


def _cause(error: Exception) -> str:
    """The kind of the first error below the libraries' own, such as ConnectionRefusedError."""
    cause: BaseException = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
    return type(cause).__name__
