"""Ports of loopback that are free, given out so that no two processes get the same."""

from __future__ import annotations

import atexit
import errno
import os
import socket
from contextlib import ExitStack

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


def free_block(length: int) -> int:
    """A port that begins `length` free ones, which no other call gives out while this process lives.

    It lies below the range that the kernel gives to outgoing connections and to port 0, and its place
    differs from process to process, so that two that start at once seldom look at the same ports.

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
