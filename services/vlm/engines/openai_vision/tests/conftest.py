"""Fixtures of the engine's tests: a scripted server, and the engine before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from voxmesh_runtime.engine import EngineContext
from voxmesh_vlm_openai_vision.engine import OpenAiVisionEngine
from voxmesh_vlm_openai_vision.settings import OpenAiVisionSettings
from voxmesh_vlm_openai_vision.testing import ChatServer, chat_server

Connect = Callable[..., OpenAiVisionEngine]


@pytest.fixture
def server() -> Iterator[ChatServer]:
    """Says how many pictures came until it is told otherwise."""
    with chat_server() as running:
        yield running


@pytest.fixture
def connect(server: ChatServer) -> Iterator[Connect]:
    """Gives loaded engines before the server; they are closed at the end."""
    engines: list[OpenAiVisionEngine] = []

    def connected(model: str | None = None, **changes: Any) -> OpenAiVisionEngine:
        values: dict[str, Any] = {"base_url": server.url, "start_timeout_s": 0, "retry_max_wait_s": 0.2, **changes}
        engine = OpenAiVisionEngine(EngineContext(model=model), OpenAiVisionSettings(**values))
        engine.load()
        engines.append(engine)
        return engine

    yield connected
    for engine in engines:
        engine.close()
