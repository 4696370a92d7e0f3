"""Which addresses are of this machine, so that no proxy of the environment may come between."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from urllib.parse import unquote

_SOCKET_SCHEMES = {"unix", "unix-abstract", "vsock"}
_TARGET_SCHEMES = {"dns", "ipv4", "ipv6"}
"""Schemes of gRPC targets whose path, not their authority, names the hosts."""


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
        authority = rest[2:].partition("/")[0].partition("?")[0].partition("#")[0]
        return _is_loopback(_host(authority.rpartition("@")[2]))
    return _is_loopback(_host(address))


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
