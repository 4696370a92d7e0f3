"""Ports of this machine: which are free, and who has the others."""

from __future__ import annotations

import atexit
import errno
import os
import socket
from collections.abc import Iterable
from contextlib import ExitStack

import psutil

LOOPBACK = "127.0.0.1"
_FIRST, _LAST = 20000, 32000

_marks = ExitStack()
"""Sockets that keep ports for this process."""
atexit.register(_marks.close)


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
    """A port that begins `length` free ones, which no other call gives out while this process lives.

    Below the range that the kernel gives to outgoing connections, and at a place that differs
    from process to process, so that two that start at once seldom look at the same ports.

    Raises:
        OSError: there is none.
    """
    blocks = range(_FIRST, _LAST, length)
    for number in range(len(blocks)):
        start = blocks[(os.getpid() + number) % len(blocks)]
        if _reserve(range(start, start + length)):
            return start
    raise OSError(errno.EADDRINUSE, f"no {length} free ports in a row from {_FIRST} to {_LAST}; free some")


def _reserve(ports: range) -> bool:
    """Keep ports from other calls, here and in other processes; False if one of them is taken.

    The mark is a UDP socket of the same number, which is in no server's way and goes with the process.
    """
    with ExitStack() as marks:
        for port in ports:
            mark = marks.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            try:
                mark.bind((LOOPBACK, port))
            except OSError as error:
                if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                    raise
                return False
            if not is_free(port):
                return False
        _marks.enter_context(marks.pop_all())
    return True
