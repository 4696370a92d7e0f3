"""Where the upstream is: a server that the operator runs, or one that the service runs itself."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from pydantic import SecretStr

from voxmesh_llm_proxy.settings import LlmSettings
from voxmesh_llm_proxy.upstream_file import UpstreamSettings


@dataclass(frozen=True, slots=True)
class Address:
    """How to reach an OpenAI-compatible server."""

    url: str
    """Base URL, such as http://host:8000/v1."""
    api_key: str


def uses_proxies(url: str | None) -> bool:
    """Whether requests to an upstream heed the usual proxy variables; None is our own server.

    A proxy of the network cannot reach what listens on loopback, and it has no business with the key.
    """
    host = (urlsplit(url).hostname or "") if url is not None else "localhost"
    if host == "localhost" or host.endswith(".localhost"):
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True


class Endpoint(Protocol):
    """What the proxy needs of an upstream's host."""

    @property
    def engine(self) -> str:
        """Name of the engine in answers."""
        ...

    @property
    def url(self) -> str | None:
        """Base URL of a server that somebody else runs; None for our own."""
        ...

    @property
    def license(self) -> str:
        """Licence of the model; empty when it is not known."""
        ...

    @property
    def device(self) -> str:
        """Where the model runs."""
        ...

    @property
    def keeps_what_it_read(self) -> bool:
        """A prompt that begins like an earlier one is answered sooner, and reading costs nobody money."""
        ...

    @property
    def concurrency(self) -> int:
        """Generations that it works on at once."""
        ...

    def watch(self, on_lost: Callable[[], None], on_found: Callable[[], None]) -> None:
        """After the start, `on_lost` is called when the server is gone, and `on_found` when it is back."""
        ...

    async def start(self) -> None:
        """Make the server reachable.

        Raises:
            FailedPrecondition: it cannot be, with these settings.
        """
        ...

    async def address(self) -> Address:
        """Where it is now.

        Raises:
            Unavailable: it is down.
        """
        ...

    async def stop(self) -> None:
        """Free everything."""
        ...


class RemoteEndpoint:
    """A server that somebody else runs; see `Endpoint`."""

    engine = "openai_compatible"
    device = "upstream"
    keeps_what_it_read = False

    def __init__(self, url: str, settings: LlmSettings) -> None:
        self.url: str | None = url.rstrip("/")
        self.license = settings.upstream_license
        self.concurrency = settings.concurrency or settings.max_streams
        self._address = _address(url, settings.upstream_api_key)

    @classmethod
    def named(cls, url: str, named: UpstreamSettings, settings: LlmSettings) -> RemoteEndpoint:
        """The server of an upstream that a file names."""
        endpoint = cls(url, settings)
        endpoint.license = named.license
        endpoint.concurrency = named.limits.concurrent or settings.max_streams
        endpoint.keeps_what_it_read = named.own_slots
        endpoint._address = _address(url, named.api_key)
        return endpoint

    def watch(self, on_lost: Callable[[], None], on_found: Callable[[], None]) -> None:
        """Nothing to do: whoever runs the server watches it, and a request tells how it is."""

    async def start(self) -> None:
        """Nothing to do."""

    async def address(self) -> Address:
        """The operator's address."""
        return self._address

    async def stop(self) -> None:
        """Nothing to do."""


def _address(url: str, key: SecretStr | None) -> Address:
    # The client sends no request without a key; servers that want none ignore it.
    return Address(url.rstrip("/"), key.get_secret_value() if key is not None else "none")
