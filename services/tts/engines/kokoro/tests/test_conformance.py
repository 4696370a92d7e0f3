"""Kokoro passes the suite of its slot, on the published model in int8."""

from __future__ import annotations

from typing import Any

import pytest

from voxmesh_runtime.clock import seconds_of
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.settings import ServerSettings
from voxmesh_testing.engines import KeptLoaded
from voxmesh_testing.tts import END, Request, TtsConformance, text
from voxmesh_tts.engine import SynthesisOptions
from voxmesh_tts_kokoro.engine import KokoroEngine
from voxmesh_tts_kokoro.settings import KokoroSettings

pytestmark = pytest.mark.engine


class TestKokoro(TtsConformance):
    """Short sentences, twice as fast as usual: the model takes half as long as they last."""

    engine = "kokoro"
    sentence = "It is in Paris."
    other_sentence = "No."
    least_s = 0.3

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _kokoro(cls, kokoro: KokoroEngine) -> None:
        cls.kept = KeptLoaded(kokoro)

    def create(self) -> KokoroEngine:
        """The engine with one blend."""
        settings = KokoroSettings(backend="onnx", blends=("af_heart:0.6+bf_emma:0.4",))
        return KokoroEngine(EngineContext(cache_dir=ServerSettings().cache_dir), settings)

    def config(self, **changes: Any) -> Request:
        """A config that every engine accepts."""
        return super().config(**{"speaking_rate": 2.0, **changes})

    async def test_words_are_those_of_the_text_and_lie_in_its_audio(self) -> None:
        whole = "At 3:30, she said: it is in Paris."
        responses = await self.spoken(text(whole), END, word_time_offsets=True)
        timings = [response.word_timing for response in responses if response.HasField("word_timing")]
        assert [timing.text for timing in timings] == ["At", "3:30", "she", "said", "it", "is", "in", "Paris"]
        bounds = [seconds_of(at) for timing in timings for at in (timing.start_offset, timing.end_offset)]
        assert bounds == sorted(bounds)
        assert 0 <= bounds[0] < bounds[-1] <= self.lengths(responses)[0]

    @pytest.mark.parametrize("voice", ["af_heart:0.6+bf_emma:0.4", "af_bella+am_adam", "bm_george:3+bf_emma"])
    async def test_a_blend_is_a_voice(self, voice: str) -> None:
        responses = await self.spoken(text(self.sentence), END, voice=voice)
        assert self.lengths(responses)[0] > self.least_s

    async def test_a_step_that_nobody_waits_for_ends_early(self) -> None:
        self.loaded.load()
        words = " ".join(["A very long sentence that goes on and on without an end"] * 8)
        clause: Any = self.loaded.open(SynthesisOptions("af_heart", "en-US")).synthesize(f"{words}.")
        clause.interrupt()
        with pytest.raises(Exception, match="terminate"):
            next(clause)
