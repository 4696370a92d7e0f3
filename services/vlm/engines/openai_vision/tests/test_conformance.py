"""A chat server behind the engine does what every engine that looks at pictures must do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from voxmesh_runtime.engine import EngineContext
from voxmesh_testing.vlm import VlmConformance
from voxmesh_vlm_openai_vision.engine import OpenAiVisionEngine
from voxmesh_vlm_openai_vision.settings import OpenAiVisionSettings
from voxmesh_vlm_openai_vision.testing import ChatServer, chat_server
from voxmesh_vlm_openai_vision.testing_eyes import Eyes
from voxmesh_vlm_openai_vision.testing_llama import llama_server

pytestmark = pytest.mark.engine

DATA = Path(__file__).parent / "data"


class TestOpenAiVision(VlmConformance):
    """Every rule, with real pictures that a real reader behind a real HTTP server reads."""

    engine = "openai_vision"
    server: ClassVar[ChatServer]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _server(cls) -> Iterator[None]:
        with chat_server(Eyes().answer) as cls.server:
            yield

    def create(self) -> OpenAiVisionEngine:
        """The engine before that server; a page goes smaller than it is, so that reading it is no long work."""
        return OpenAiVisionEngine(EngineContext(), OpenAiVisionSettings(base_url=self.server.url, max_pixels=131_072))


class TestLlamaCpp(VlmConformance):
    """Every rule before a real llama.cpp server with a small Qwen3-VL of random weights, which reads no words."""

    engine = "openai_vision"
    reads_words = False
    settings: ClassVar[dict[str, Any]] = {**VlmConformance.settings, "max_output_tokens": 100}
    url: ClassVar[str]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _server(cls) -> Iterator[None]:
        # One answer at a time: of several together the last digits differ, and with weights at random the words.
        with llama_server(DATA, slots=1) as cls.url:
            yield

    def create(self) -> OpenAiVisionEngine:
        """The engine before that server, without chance in its words and with pictures that it is fast enough for."""
        settings = OpenAiVisionSettings(
            base_url=self.url, max_pixels=65_536, max_reading_tokens=60, extra_fields={"temperature": 0}
        )
        return OpenAiVisionEngine(EngineContext(), settings)

    def test_the_server_takes_schemas_and_tells_no_places(self) -> None:
        self.loaded.load()
        abilities = self.loaded.abilities
        assert (abilities.model, abilities.way.json_schema, abilities.scale) == ("eyes", True, None)
