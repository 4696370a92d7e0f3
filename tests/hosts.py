"""Services on hosts of their own: with a clock that is set apart, or behind a wire that takes its time."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from voxmesh_runtime.ports import free_block

WIRE = Path(__file__).with_name("wire.py")
STARTED_WITHIN_S = 120


def fake_clock() -> Path | None:
    """Debian's library that sets a process's clock apart; None where the package faketime is not installed."""
    return next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)


def clock_of(shift: str) -> dict[str, str]:
    """The environment of a process whose wall clock is apart from the others', such as by "+3s"."""
    return {"LD_PRELOAD": str(fake_clock()), "FAKETIME": shift, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def why_no_namespaces() -> str:
    """Why network namespaces and TAP devices cannot be made here; empty where they can."""
    if shutil.which("ip") is None:
        return "the command ip is missing (Debian: iproute2)"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "/dev/net/tun cannot be opened"
    name = f"probe{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"network namespaces cannot be made: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "delete", name], check=True)
    return ""


@contextmanager
def namespaces(*names: str) -> Generator[None]:
    """Hosts that reach nobody but themselves, until there is a wire."""
    made: list[str] = []
    try:
        for name in names:
            subprocess.run(["ip", "netns", "add", name], check=True)
            made.append(name)
            subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        yield
    finally:
        for name in made:
            subprocess.run(["ip", "netns", "delete", name], check=False)


@asynccontextmanager
async def wire(delay_ms: int, *ends: str) -> AsyncGenerator[None]:
    """A wire between two namespaces, each as NAME/ADDRESS, with a delay each way."""
    command = [sys.executable, str(WIRE), str(delay_ms), *ends]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 20) == b"up\n"
        yield
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def inside(namespace: str) -> list[str]:
    """What runs a command in a namespace."""
    return ["ip", "netns", "exec", namespace]


def free_port() -> int:
    """A port of loopback that nothing listens on, and that stays this process's."""
    return free_block(1)


@asynccontextmanager
async def service(
    package: str, port: int, folder: Path, environment: Mapping[str, str], command: Sequence[str] = ()
) -> AsyncGenerator[None]:
    """A service in a process of its own, from when it serves until the end of the block.

    Args:
        package: such as voxmesh_stt.
        port: to listen on.
        folder: for its log.
        environment: what it has beside this process's variables.
        command: what runs it, such as `inside(namespace)`.
    """
    own = {"VOXMESH_PORT": str(port), "VOXMESH_PARENT_PID": str(os.getpid()), "VOXMESH_DRAIN_S": "0"}
    log = folder / f"{package}.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(*command, sys.executable, "-m", package),
            env={**os.environ, **own, **environment},
            stdout=output,
            stderr=output,
        )
    try:
        await _wait_until_serving(process, log)
        yield
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 20)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _wait_until_serving(process: asyncio.subprocess.Process, log: Path) -> None:
    written = ""
    for _ in range(STARTED_WITHIN_S * 10):
        written = await asyncio.to_thread(log.read_text)
        if ": serving " in written:
            return
        if process.returncode is not None:
            break
        await asyncio.sleep(0.1)
    raise RuntimeError(f"a service did not start:\n{written}")
