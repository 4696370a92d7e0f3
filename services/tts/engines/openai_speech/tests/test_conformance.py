"""A speech server behind the engine does what every text-to-speech engine must do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest

from voxmesh_runtime.engine import EngineContext
from voxmesh_testing.tts import END, TtsConformance, text
from voxmesh_tts_openai_speech.engine import OpenAiSpeechEngine
from voxmesh_tts_openai_speech.settings import OpenAiSpeechSettings
from voxmesh_tts_openai_speech.testing import SpeechServer, speech_server
from voxmesh_tts_openai_speech.testing_voice import VOICES, SpeakingVoice

pytestmark = pytest.mark.engine


class TestOpenAiSpeech(TtsConformance):
    """Every rule, with real words from a real HTTP server that lists its voice and heeds a speed."""

    engine = "openai_speech"
    server: ClassVar[SpeechServer]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _server(cls) -> Iterator[None]:
        with speech_server(SpeakingVoice().answer, ["hibari"], VOICES) as cls.server:
            yield

    def create(self) -> OpenAiSpeechEngine:
        """The engine before that server."""
        return OpenAiSpeechEngine(EngineContext(), OpenAiSpeechSettings(base_url=self.server.url))

    def test_the_server_is_described(self) -> None:
        self.loaded.load()
        info = self.loaded.info
        assert (info.facts.model, info.facts.device, info.sample_rate_hertz) == ("hibari", "upstream", 24000)
        assert [(voice.name, voice.language_codes) for voice in info.voices] == [("af_heart", ("en-US",))]

    @pytest.mark.parametrize("rate", [0.5, 2.0])
    async def test_the_speaking_rate_changes_the_length(self, rate: float) -> None:
        (plain,) = self.lengths(await self.spoken(text(self.sentence), END))
        (other,) = self.lengths(await self.spoken(text(self.sentence), END, speaking_rate=rate))
        assert other == pytest.approx(plain / rate, rel=0.3)
