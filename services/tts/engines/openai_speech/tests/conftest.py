"""Fixtures of the engine's tests: a scripted server, and the engine before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from voxmesh_runtime.engine import EngineContext
from voxmesh_tts_openai_speech.engine import OpenAiSpeechEngine
from voxmesh_tts_openai_speech.settings import OpenAiSpeechSettings
from voxmesh_tts_openai_speech.testing import SpeechServer, speech_server

Connect = Callable[..., OpenAiSpeechEngine]


@pytest.fixture
def server() -> Iterator[SpeechServer]:
    """Gives a note of a second until it is told otherwise."""
    with speech_server() as running:
        yield running


@pytest.fixture
def connect(server: SpeechServer) -> Iterator[Connect]:
    """Gives loaded engines before the server; they are closed at the end."""
    engines: list[OpenAiSpeechEngine] = []

    def connected(model: str | None = None, **changes: Any) -> OpenAiSpeechEngine:
        values: dict[str, Any] = {"base_url": server.url, "start_timeout_s": 0, "retry_max_wait_s": 0.2, **changes}
        engine = OpenAiSpeechEngine(EngineContext(model=model), OpenAiSpeechSettings(**values))
        engine.load()
        engines.append(engine)
        return engine

    yield connected
    for engine in engines:
        engine.close()
