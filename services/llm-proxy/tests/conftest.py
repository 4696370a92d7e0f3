"""One real llama.cpp server for all tests of this distribution that need a model."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from voxmesh_llm_proxy.endpoint import Address
from voxmesh_llm_proxy.settings import LlmSettings
from voxmesh_llm_proxy.supervisor import LlamaCpp


@pytest.fixture(scope="session")
def llama() -> Iterator[Address]:
    """Where the server is; it lives on a loop of its own, as each test has another."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> tuple[LlamaCpp, Address]:
        server = LlamaCpp(LlmSettings())
        await server.start()
        return server, await server.address()

    server, address = asyncio.run_coroutine_threadsafe(start(), loop).result(60)
    try:
        yield address
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
