"""Fixtures of the engine's tests: a scripted server, the engine before it, and one sentence of speech."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.engine import EngineContext
from voxmesh_stt_openai_audio.engine import OpenAiAudioEngine
from voxmesh_stt_openai_audio.probe import spoken_sentence
from voxmesh_stt_openai_audio.settings import OpenAiAudioSettings
from voxmesh_stt_openai_audio.testing import TranscriptionServer, transcription_server

Connect = Callable[..., OpenAiAudioEngine]


@pytest.fixture(scope="session")
def speech() -> Samples:
    return spoken_sentence()


@pytest.fixture
def server() -> Iterator[TranscriptionServer]:
    """Says `Hello.` until it is told otherwise."""
    with transcription_server() as running:
        yield running


@pytest.fixture
def connect(server: TranscriptionServer) -> Iterator[Connect]:
    """Gives loaded engines before the server; they are closed at the end."""
    engines: list[OpenAiAudioEngine] = []

    def connected(model: str | None = None, **changes: Any) -> OpenAiAudioEngine:
        values: dict[str, Any] = {"base_url": server.url, "start_timeout_s": 0, "retry_max_wait_s": 0.2, **changes}
        engine = OpenAiAudioEngine(EngineContext(model=model), OpenAiAudioSettings(**values))
        engine.load()
        engines.append(engine)
        return engine

    yield connected
    for engine in engines:
        engine.close()
