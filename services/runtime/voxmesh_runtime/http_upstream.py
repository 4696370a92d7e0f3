"""Requests over HTTP to a server that an engine asks, whatever the protocol above; the engine brings httpx2.

Answers other than status 200 and broken connections are `ServerFailure`s without what a caller sent.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from pydantic import SecretStr

from voxmesh_runtime.proxies import direct_mounts
from voxmesh_runtime.upstreams import ServerFailure, refused, shown_address

MAX_BODY_BYTES = 1024 * 1024
"""Longest answer that is read whole."""
_OK = 200


class HttpUpstream:
    """One address; used on one event loop.

    Args:
        base_url: such as http://host:8000/v1; may hold user and password.
        key: sent as a bearer token.
        connect_timeout_s: longest wait for a connection; all else has the deadlines of its caller.
        max_connections: at once.
    """

    def __init__(self, base_url: str, key: SecretStr | None, connect_timeout_s: float, max_connections: int) -> None:
        self._key = key
        self._connect_timeout_s = connect_timeout_s
        self._shown = shown_address(base_url)
        headers = {"Accept-Encoding": "identity", "User-Agent": "voxmesh"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key.get_secret_value()}"
        address = httpx2.URL(base_url)
        self._client = httpx2.AsyncClient(
            headers=headers,
            # Not left in the address, which the library logs as it is when it is asked to.
            auth=(address.username, address.password) if address.username and key is None else None,
            timeout=httpx2.Timeout(None, connect=connect_timeout_s),
            limits=httpx2.Limits(max_connections=max_connections),
            mounts=direct_mounts(base_url),
        )
        self._url = str(address.copy_with(userinfo=b"")).rstrip("/")

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def models(self) -> tuple[str, ...]:
        """The models of an OpenAI-style list.

        Raises:
            ServerFailure: the server does not answer, or has no list.
        """
        return tuple(str(model["id"]) for model in await self.listed())

    async def listed(self) -> list[dict[str, Any]]:
        """The entries of that list; each has an `id`.

        Raises:
            ServerFailure: the server does not answer, or has no list.
        """
        listed = await self.asked("GET", "/models")
        data = listed.get("data") if isinstance(listed, dict) else None
        if not isinstance(data, list):
            raise ServerFailure("the server answered no list of models")
        return [model for model in data if isinstance(model, dict) and "id" in model]

    async def asked(self, method: str, path: str, *, most_bytes: int = MAX_BODY_BYTES, **content: Any) -> Any:
        """The JSON of an answer with status 200.

        Raises:
            ServerFailure: there is none, or it breaks off.
        """
        async with self.answered(method, path, **content) as response:
            return json_of(response, await whole_body(response, most_bytes))

    @asynccontextmanager
    async def answered(self, method: str, path: str, **content: Any) -> AsyncGenerator[httpx2.Response]:
        """An answer with status 200 whose body is still to be read; leaving it early closes its connection.

        Raises:
            ServerFailure: there is none, or it breaks off.
        """
        try:
            async with self._client.stream(method, self._url + path, **content) as response:
                if response.status_code != _OK:
                    raise refused(response.status_code, response.headers, await whole_body(response), self._key)
                yield response
        except httpx2.ConnectTimeout:
            problem = f"no connection to {self._shown} within {self._connect_timeout_s:g} s"
            raise ServerFailure(problem, is_transient=True) from None
        except (httpx2.ConnectError, ssl.SSLError) as error:
            problem = f"{self._shown} cannot be reached ({_cause(error)})"
            raise ServerFailure(problem, is_transient=True) from None
        except httpx2.HTTPError as error:
            # The library's own text may show the address with its password.
            raise ServerFailure(f"the answer broke off ({type(error).__name__})", is_transient=True) from None


async def parts_of_body(response: httpx2.Response, most_bytes: int = MAX_BODY_BYTES) -> AsyncGenerator[bytes]:
    """The body of an answer as it comes.

    Raises:
        ServerFailure: it is longer than `most_bytes`.
    """
    size = 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > most_bytes:
            raise ServerFailure(f"the server answered more than {most_bytes} bytes")
        yield part


async def whole_body(response: httpx2.Response, most_bytes: int = MAX_BODY_BYTES) -> bytes:
    """The body of an answer.

    Raises:
        ServerFailure: it is longer than `most_bytes`.
    """
    return b"".join([part async for part in parts_of_body(response, most_bytes)])


def json_of(response: httpx2.Response, body: bytes) -> Any:
    """What a body holds.

    Raises:
        ServerFailure: it is no JSON.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise ServerFailure(f"the server answered {kind_of_body(response)} that is no JSON") from None


def kind_of_body(response: httpx2.Response) -> str:
    """The media type of an answer, "something" if it tells none."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind[:60] if kind and kind.isprintable() else "something"


def _cause(error: Exception) -> str:
    """The kind of the first error below the libraries' own, such as ConnectionRefusedError."""
    cause: BaseException = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
    return type(cause).__name__
