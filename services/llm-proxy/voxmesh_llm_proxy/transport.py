"""HTTP to one upstream: connections that are kept, and failures as what the upstream complains about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx2

from voxmesh_llm_proxy.endpoint import Address, uses_proxies
from voxmesh_llm_proxy.upstream_errors import UNREACHABLE, UpstreamFailure, asked_wait_s
from voxmesh_runtime.chat.complaints import complaint_in
from voxmesh_runtime.structs import Json

MAX_CONNECTIONS = 1000
_KEPT = 100
_FIRST_ERROR = 400


class Transport:
    """Requests to wherever the upstream is at the moment.

    Args:
        url: of a server that somebody else runs; None for our own.
        connect_timeout_s: longest wait for a connection.
    """

    def __init__(self, url: str | None, connect_timeout_s: float) -> None:
        self._client = httpx2.AsyncClient(
            headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "voxmesh"},
            # Silence is measured by callers, who can tell it from slowness of the first token.
            timeout=httpx2.Timeout(None, connect=connect_timeout_s),
            limits=httpx2.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=_KEPT),
            trust_env=uses_proxies(url),
            follow_redirects=True,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def get(self, address: Address, path: str) -> str:
        """The text of an answer; the caller sets its deadline.

        Raises:
            UpstreamFailure: there is none.
        """
        request = self._client.build_request("GET", address.url + path, headers=_headers(address))
        return (await self._whole(request)).text

    async def post(self, address: Address, url: str, body: Json) -> Any:
        """What the JSON of an answer holds, None if it is no JSON; the caller sets its deadline.

        Raises:
            UpstreamFailure: there is none.
        """
        response = await self._whole(self._posting(address, url, body))
        try:
            return response.json()
        except (ValueError, RecursionError):
            return None

    async def stream(self, address: Address, path: str, body: Json) -> httpx2.Response:
        """An answer whose body is still to be read; it must be closed.

        Raises:
            UpstreamFailure: there is none.
        """
        return await self._sent(self._posting(address, address.url + path, body))

    def _posting(self, address: Address, url: str, body: Json) -> httpx2.Request:
        headers = {**_headers(address), "Content-Type": "application/json"}
        content = json.dumps(body, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
        return self._client.build_request("POST", url, content=content, headers=headers)

    async def _whole(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._sent(request)
        try:
            await response.aread()
        except httpx2.HTTPError:
            raise UpstreamFailure(UNREACHABLE) from None
        finally:
            await response.aclose()
        return response

    async def _sent(self, request: httpx2.Request) -> httpx2.Response:
        try:
            response = await self._on_a_connection(request)
            if response.status_code >= _FIRST_ERROR:
                raise await _refused(response)
        except httpx2.HTTPError as error:
            raise UpstreamFailure(UNREACHABLE) from error
        return response

    async def _on_a_connection(self, request: httpx2.Request) -> httpx2.Response:
        try:
            return await self._client.send(request, stream=True)
        except (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError):
            # Servers close connections that were idle, or used often enough, while the next request is on its way.
            return await self._client.send(request, stream=True)


async def _refused(response: httpx2.Response) -> UpstreamFailure:
    """What the upstream complains about in an answer that is none."""
    wait_s = asked_wait_s(response.headers, datetime.now(UTC))
    try:
        await response.aread()
        body = response.text
    except httpx2.HTTPError:
        body = ""
    finally:
        await response.aclose()
    return UpstreamFailure(complaint_in(body, response.status_code, wait_s))


def _headers(address: Address) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {address.api_key}"}
