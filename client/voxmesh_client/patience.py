"""Whether to wait for a service that is not there: not where nothing can come of it."""

from __future__ import annotations

import asyncio
import re
import socket
from typing import Any

from voxmesh_runtime.proxies import bypasses_proxy

_CONNECT_S = 0.5
_ADDRESS = re.compile(r"(?:dns:(?:///)?|ipv4:|ipv6:)?(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^/:,]+)):(?P<port>\d+)")
"""Targets that lead to one host and port."""


def refusal_is_final(target: str, patience_s: float | None) -> bool:
    """Whether a refused connection to `target` is the answer, however long one may wait.

    On this machine nothing stands between: what refuses does not run. Elsewhere a name may lead to a host that is about
    to start; and who names a patience knows that the service was there and comes back.
    """
    return patience_s is None and bypasses_proxy(target)


async def is_refused(target: str) -> bool:
    """True when nobody listens at a gRPC target; false when somebody does, or it cannot be told at once."""
    found = _ADDRESS.fullmatch(target)
    if found is None:
        return False
    try:
        loop = asyncio.get_running_loop()
        infos = await loop.getaddrinfo(found["v6"] or found["host"], int(found["port"]), type=socket.SOCK_STREAM)
    except OSError:
        return False
    return bool(infos) and all([await _refuses(family, address) for family, _, _, _, address in infos])


async def _refuses(family: socket.AddressFamily, address: tuple[Any, ...]) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            async with asyncio.timeout(_CONNECT_S):
                await asyncio.get_running_loop().sock_connect(probe, address)
        except ConnectionRefusedError:
            return True
        except (OSError, TimeoutError):
            return False
    return False
