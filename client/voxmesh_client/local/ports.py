"""Ports of this machine that are taken, and who has them."""

from __future__ import annotations

from collections.abc import Iterable

import psutil

from voxmesh_runtime.ports import is_free


def owner(port: int) -> str | None:
    """Name and process id of who listens at a port; None when this user may not know."""
    try:
        connections = psutil.net_connections(kind="tcp")
        pids = {
            found.pid
            for found in connections
            if found.status == psutil.CONN_LISTEN and found.laddr and found.laddr.port == port
        }
        pid = next((pid for pid in pids if pid is not None), None)
        return None if pid is None else f"{psutil.Process(pid).name()} (process {pid})"
    except psutil.Error:
        return None


def taken(ports: Iterable[int]) -> list[str]:
    """A sentence for every port that is in use."""
    return [f"port {port} is in use by {owner(port) or 'another process'}" for port in ports if not is_free(port)]
