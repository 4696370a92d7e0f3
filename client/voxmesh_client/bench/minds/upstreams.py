"""What stands behind a proxy that is measured: a server at an address, or a llama.cpp server that is started here."""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from platformdirs import user_cache_path
from pydantic import SecretStr

from voxmesh_client.bench.problems import BenchUsage
from voxmesh_client.bench.server import Limits, NotLoaded, operators_environment, stopped
from voxmesh_client.local.logs import newest_message
from voxmesh_client.slots import LLM
from voxmesh_runtime.http_upstream import HttpUpstream
from voxmesh_runtime.models import SMOLLM2, ModelError, ModelStore, parse_source
from voxmesh_runtime.ports import LOOPBACK, free_block
from voxmesh_runtime.upstreams import ServerFailure

DEFAULT = "default"
"""Name of the model that a proxy runs where nobody names another."""
_POLL_S = 0.1
_CONTEXT_TOKENS = 2048


@dataclass(frozen=True, slots=True)
class AtUrl:
    """A server that runs."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class OwnModel:
    """A model for a llama.cpp server of our own."""

    name: str
    source: str = field(default=str(SMOLLM2))


Behind = AtUrl | OwnModel


@dataclass(frozen=True, slots=True)
class Address:
    """Where an upstream is."""

    url: str
    key: SecretStr | None
    shape: str


def read_upstreams(urls: Sequence[str], models: Sequence[str]) -> list[Behind]:
    """What `--upstream NAME=URL` and `--model NAME=SOURCE` ask for, in order.

    Raises:
        BenchUsage: one of them is wrong.
    """
    found: list[Behind] = [AtUrl(*_pair(each, "--upstream", "NAME=URL")) for each in urls]
    return found + [OwnModel(*_pair(each, "--model", "NAME=SOURCE")) for each in models]


@asynccontextmanager
async def running(behind: Behind, limits: Limits) -> AsyncGenerator[Address]:
    """Where an upstream is, for the time of a block; our own server is started for it.

    Raises:
        NotLoaded: it does not start.
        BenchUsage: the service that has the server is not installed.
    """
    environment = operators_environment()
    key = environment.get("VOXMESH_UPSTREAM_API_KEY")
    if isinstance(behind, AtUrl):
        yield Address(
            behind.url.rstrip("/"), SecretStr(key) if key else None, environment.get("VOXMESH_UPSTREAM_SHAPE", "any")
        )
        return
    if find_spec(LLM.module) is None:
        raise BenchUsage("voxmesh-llm-proxy is not installed here; measure a server with --upstream or --target")
    async with _own_server(behind, limits) as address:
        yield address


@asynccontextmanager
async def _own_server(own: OwnModel, limits: Limits) -> AsyncGenerator[Address]:
    try:
        path = await asyncio.to_thread(ModelStore(_cache_dir()).fetch, parse_source(own.source))
    except ModelError as error:
        raise NotLoaded(str(error)) from None
    key, port = secrets.token_urlsafe(16), free_block(1)
    log_path = limits.logs / f"{own.name}-llama.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    options = {
        "--model": _gguf(path),
        "--name": own.name,
        "--port": port,
        "--slots": limits.streams,
        "--context": _CONTEXT_TOKENS,
    }
    command = ["-m", f"{LLM.module}.llama_server", *(str(part) for pair in options.items() for part in pair)]
    with log_path.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=log.fileno(),
            stderr=log.fileno(),
            start_new_session=True,
        )
    async with stopped(process):
        if process.stdin is None:
            raise RuntimeError("the process was started without a pipe")
        process.stdin.write(f"{key}\n".encode())
        await process.stdin.drain()
        address = Address(f"http://{LOOPBACK}:{port}/v1", SecretStr(key), "llama_cpp")
        await _serves(process, address, limits.load_s, log_path)
        yield address


async def _serves(process: asyncio.subprocess.Process, address: Address, load_s: float, log_path: Path) -> None:
    deadline = time.monotonic() + load_s
    http = HttpUpstream(address.url, address.key, 2.0, 1)
    try:
        while True:
            try:
                await http.models()
            except ServerFailure as failure:
                if process.returncode is not None or time.monotonic() > deadline:
                    raise NotLoaded(
                        f"llama.cpp does not serve: {failure.problem}: {newest_message(log_path)}"
                    ) from None
                await asyncio.sleep(_POLL_S)
            else:
                return
    finally:
        await http.close()


def _cache_dir() -> Path:
    """As the services have it."""
    return Path(operators_environment().get("VOXMESH_CACHE_DIR") or user_cache_path("voxmesh"))


def _gguf(path: Path) -> Path:
    files = [path] if path.is_file() else sorted(path.rglob("*.gguf"))
    if not files:
        raise NotLoaded(f"{path} holds no .gguf file; llama.cpp loads no other")
    return files[0]


def _pair(text: str, option: str, form: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if not name or not value:
        raise BenchUsage(f"{option} {text}: must be {form}")
    return name, value
