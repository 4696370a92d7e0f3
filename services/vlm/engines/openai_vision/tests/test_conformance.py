"""A chat server behind the engine does what every engine that looks at pictures must do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest

from voxmesh_runtime.engine import EngineContext
from voxmesh_testing.vlm import VlmConformance
from voxmesh_vlm_openai_vision.engine import OpenAiVisionEngine
from voxmesh_vlm_openai_vision.settings import OpenAiVisionSettings
from voxmesh_vlm_openai_vision.testing import ChatServer, chat_server
from voxmesh_vlm_openai_vision.testing_eyes import Eyes

pytestmark = pytest.mark.engine


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
        """The engine before that server."""
        return OpenAiVisionEngine(EngineContext(), OpenAiVisionSettings(base_url=self.server.url))
