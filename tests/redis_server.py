"""A real Redis server for a test."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from hosts import free_port


@asynccontextmanager
async def redis_server(folder: Path) -> AsyncGenerator[str]:
    """The address of a server of the test's own."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is missing (Debian: redis-server)")
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            while b"Ready to accept connections" not in (line := await process.stdout.readline()):
                assert line, "redis-server ended by itself"
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()
