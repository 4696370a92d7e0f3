"""Ports of this machine: which are free, and who has the others."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable

import psutil

LOOPBACK = "127.0.0.1"
_FIRST, _LAST = 20000, 32000


def is_free(port: int) -> bool:
    """True when a server may listen at a loopback port."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
            listener.listen()
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
            raise
    return True


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


def free_block(length: int) -> int:
    """A port that begins `length` free ones.

    Below the range that the kernel gives to outgoing connections, and at a place that differs
    from process to process, so that two that start at once do not meet.

    Raises:
        OSError: there is none.
    """
    blocks = range(_FIRST, _LAST, length)
    for number in range(len(blocks)):
        start = blocks[(os.getpid() + number) % len(blocks)]
        if all(is_free(port) for port in range(start, start + length)):
            return start
    raise OSError(errno.EADDRINUSE, f"no {length} free ports in a row from {_FIRST} to {_LAST}; free some")
