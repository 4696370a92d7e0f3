"""Which addresses are of this machine, so that no proxy of the environment comes between."""

from __future__ import annotations

from collections.abc import MutableMapping
from ipaddress import IPv6Address, ip_address
from urllib.parse import unquote, urlsplit

_SOCKET_SCHEMES = {"unix", "unix-abstract", "vsock"}
_TARGET_SCHEMES = {"dns", "ipv4", "ipv6"}
"""Schemes of gRPC targets whose path, not their authority, names the hosts."""
_UNPROXIED = ("localhost", "127.0.0.1", "::1")
"""What every library understands in `no_proxy`."""


def bypasses_proxy(address: str) -> bool:
    """True for a gRPC target or a URL on loopback, or on a socket of this machine.

    A proxy could not reach it, and would learn what is sent to it. Names are not resolved.
    """
    scheme, _, rest = address.partition(":")
    scheme = scheme.lower()
    if scheme in _SOCKET_SCHEMES:
        return True
    if scheme in _TARGET_SCHEMES:
        return any(_is_loopback(_host(name)) for name in _path(rest).split(","))
    if rest.startswith("//"):
        return _is_loopback(urlsplit(address).hostname or "")
    return _is_loopback(_host(address))


def direct_mounts(url: str) -> dict[str, None]:
    """`mounts` of an httpx client that asks `url` alone: no proxy of the environment if it is on this machine."""
    if not bypasses_proxy(url):
        return {}
    host = urlsplit(url).hostname or ""
    return {f"all://[{host}]" if ":" in host else f"all://{host}": None}


def spare_loopback(environment: MutableMapping[str, str]) -> None:
    """Name loopback in `no_proxy`, for libraries and child processes that go by the environment alone.

    Call it before threads start: they may read the environment meanwhile.
    """
    told = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    names = [name.strip() for name in told.split(",") if name.strip()]
    if "*" not in names:
        environment["no_proxy"] = ",".join(dict.fromkeys([*names, *_UNPROXIED]))


def _path(rest: str) -> str:
    if rest.startswith("//"):
        rest = rest[2:].partition("/")[2]
    return unquote(rest)


def _host(name: str) -> str:
    """The host of `host`, `host:port`, `[v6]:port` or a bare IPv6 address."""
    name = unquote(name).strip()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0] if name.count(":") == 1 else name


def _is_loopback(host: str) -> bool:
    host = host.rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    # A connection to "any address" ends on loopback.
    return address.is_loopback or address.is_unspecified
