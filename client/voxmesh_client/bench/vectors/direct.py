"""The model of an engine called without its service, in a process of its own, as the service's is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from voxmesh_client.bench.server import Limits, NotLoaded, operators_environment, stopped
from voxmesh_client.bench.targets import Startable
from voxmesh_client.local.logs import newest_message

_MODULE = "voxmesh_embed.direct"
_LINE_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class DirectCost:
    """What some texts cost without a service."""

    taken_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Direct:
    """A model that waits for texts; nothing else is at work while it does."""

    process: asyncio.subprocess.Process

    async def embed(self, texts: Sequence[str], at_once: int) -> DirectCost:
        """What all texts cost when the model gets so many at once.

        Raises:
            NotLoaded: the process has ended.
        """
        answer = await _asked(self.process, json.dumps({"texts": list(texts), "at_once": at_once}))
        return DirectCost(float(answer["seconds"]), float(answer["cpu_seconds"]))


@asynccontextmanager
async def direct_model(target: Startable, limits: Limits) -> AsyncGenerator[Direct]:
    """The model of an engine, loaded and warm, for the time of a block.

    Raises:
        NotLoaded: it cannot be loaded; the message says why.
    """
    path = limits.logs / f"{target.name.replace('/', '_')}-direct.log"
    command = ["-m", _MODULE, "--engine", target.engine, *(["--model", target.model] if target.model else [])]
    with path.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            str(target.python),
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log.fileno(),
            env=operators_environment(),
            start_new_session=True,
            limit=_LINE_BYTES,
        )
    async with stopped(process):
        try:
            async with asyncio.timeout(limits.load_s):
                await _answer(process)
        except (NotLoaded, TimeoutError):
            raise NotLoaded(f"the model alone does not load: {newest_message(path)} (see {path})") from None
        yield Direct(process)


async def _asked(process: asyncio.subprocess.Process, line: str) -> dict[str, Any]:
    if process.stdin is None:
        raise RuntimeError("the process was started without a pipe")
    process.stdin.write(line.encode() + b"\n")
    await process.stdin.drain()
    return await _answer(process)


async def _answer(process: asyncio.subprocess.Process) -> dict[str, Any]:
    line = b"" if process.stdout is None else await process.stdout.readline()
    if not line:
        raise NotLoaded("the model alone has ended")
    return json.loads(line)
