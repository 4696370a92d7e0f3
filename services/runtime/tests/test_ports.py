"""Ports that were given out are given to nobody else, in this process or another."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from voxmesh_runtime import ports
from voxmesh_runtime.ports import LOOPBACK, free_block

pytestmark = pytest.mark.unit

LENGTH = 7


def test_blocks_of_one_process_do_not_overlap_and_servers_may_listen_there() -> None:
    starts = [free_block(LENGTH) for _ in range(3)]
    given = {port for start in starts for port in range(start, start + LENGTH)}
    assert len(given) == 3 * LENGTH
    assert given.isdisjoint({free_block(1)})
    for port in given:
        with socket.socket() as server:
            server.bind((LOOPBACK, port))
            server.listen()


def test_another_process_that_looks_at_the_same_place_gets_other_ports() -> None:
    # The place depends on the process id; the other process looks where this one did.
    code = f"""
import os, sys
os.getpid = lambda: int(sys.argv[1])
from voxmesh_runtime.ports import free_block
print(free_block({LENGTH}))
"""
    start = free_block(LENGTH)
    pid = (start - ports._FIRST) // LENGTH
    done = subprocess.run([sys.executable, "-c", code, str(pid)], capture_output=True, check=True, text=True)
    assert abs(int(done.stdout) - start) >= LENGTH


def test_a_port_where_somebody_listens_is_not_given_out() -> None:
    with socket.socket() as server:
        server.bind((LOOPBACK, 0))
        server.listen()
        port: int = server.getsockname()[1]
        assert not ports._reserve(range(port, port + 1))
    assert ports._reserve(range(port, port + 1))
