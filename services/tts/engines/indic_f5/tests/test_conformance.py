"""IndicF5 passes the suite of its slot, in Kannada and Hindi, on a small checkpoint of its architecture."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from voxmesh.common.v1 import common_pb2
from voxmesh.tts.v1 import tts_pb2
from voxmesh_runtime.audio import AudioFormat, Encoding, Samples
from voxmesh_runtime.engine import EngineContext
from voxmesh_testing.streams import exchange, wait_until
from voxmesh_testing.tts import CANCEL, END, Request, TtsConformance, samples_of, text
from voxmesh_tts_indic_f5.engine import IndicF5Engine
from voxmesh_tts_indic_f5.model import IndicF5
from voxmesh_tts_indic_f5.settings import IndicF5Settings
from voxmesh_tts_indic_f5.testing import babble

pytestmark = pytest.mark.engine

KANNADA = "ಬೆಂಗಳೂರು ಒಂದು ದೊಡ್ಡ ನಗರ."
HINDI = "बेंगलुरु कर्नाटक की राजधानी है।"


def reference(samples: Samples, transcript: str) -> tts_pb2.VoiceReference:
    """A recording as a caller sends it."""
    audio = (samples * 32767).astype("<i2").tobytes()
    return tts_pb2.VoiceReference(
        audio_format=AudioFormat(Encoding.S16LE, 24000).to_proto(), audio=audio, transcript=transcript
    )


RECORDING = reference(babble(2.0, pitch_hertz=300), "நீங்கள் எப்படி இருக்கிறீர்கள்?")


class Steps:
    """Counts the model's steps and holds it in one of them, counted from 1."""

    def __init__(self, model: IndicF5, hold_at: int) -> None:
        self.count = 0
        self.is_held = threading.Event()
        self.go_on = threading.Event()
        self._hold_at = hold_at
        self._hook = model._acoustic.transformer.register_forward_hook(self._step)

    def remove(self) -> None:
        """Let the model run as before."""
        self.go_on.set()
        self._hook.remove()

    def _step(self, *_: object) -> None:
        self.count += 1
        if self.count == self._hold_at:
            self.is_held.set()
            self.go_on.wait(10)


class TestIndicF5(TtsConformance):
    """Every rule, with a sentence of a capital and one that denies it."""

    engine = "indic_f5"
    sentence = KANNADA
    other_sentence = "ಇಲ್ಲ, ಹಾಗಲ್ಲ."
    checkpoint: ClassVar[Path]

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _written(cls, checkpoint: Path) -> None:
        cls.checkpoint = checkpoint

    def create(self) -> IndicF5Engine:
        """The engine on the small checkpoint."""
        return IndicF5Engine(EngineContext(model=str(self.checkpoint)), IndicF5Settings())

    def work(self) -> list[Request]:
        """More sentences than are made before a cancel arrives, and no more: each takes a tenth of a second."""
        return [text(f"{self.sentence} " * 12)]

    async def test_hindi_is_spoken_by_the_voice_whose_own_language_it_is(self) -> None:
        by_language = await self.spoken(text(HINDI), END, language_code="hi-IN")
        by_name = await self.spoken(text(HINDI), END, voice="hi")
        samples = [samples_of(responses, self.output_format()) for responses in (by_language, by_name)]
        assert len(samples[0])
        assert np.array_equal(samples[0], samples[1])

    async def test_streams_with_different_voices_at_once_each_sound_as_they_do_alone(self) -> None:
        configs: list[dict[str, Any]] = [{"voice": "kn"}, {"voice": "hi"}, {"voice_reference": RECORDING}]
        alone = [samples_of(await self.spoken(text(KANNADA), END, **c), self.output_format()) for c in configs]
        async with self.served() as (method, _, _):

            async def one(config: dict[str, Any]) -> list[Samples]:
                async with exchange(method, self.config(**config), *[text(KANNADA), END] * 3) as stream:
                    await stream.half_close()
                    responses = await stream.rest()
                return [samples_of(responses, self.output_format(), place) for place in range(3)]

            together = await asyncio.gather(*map(one, configs))
        for expected, segments in zip(alone, together, strict=True):
            assert all(np.array_equal(segment, expected) for segment in segments)
        assert not np.array_equal(alone[0], alone[2])

    async def test_a_cancel_ends_the_clause_at_the_next_step_and_leaves_nothing_of_it_behind(self) -> None:
        expected = samples_of(await self.spoken(text(HINDI), END), self.output_format())
        async with self.served() as (method, _, _), exchange(method, self.config()) as stream:
            steps = Steps(self.loaded._ready.model, hold_at=3)
            try:
                await stream.send(text(KANNADA))
                await wait_until(steps.is_held.is_set)
                await stream.send(CANCEL)
                assert (await stream.until("segment_finished")).cancelled
                steps.go_on.set()
                await stream.send(text(HINDI), END)
                await stream.until("segment_finished")
            finally:
                steps.remove()
            await stream.half_close()
            await stream.rest()
        assert steps.count == 3 + 7
        assert np.array_equal(samples_of(stream.seen, self.output_format(), 1), expected)

    async def test_a_voice_is_taken_from_a_recording_and_its_outcome_told(self) -> None:
        responses = await self.spoken(text(KANNADA), END, voice_reference=RECORDING)
        [outcome] = responses[0].ready.options
        assert (outcome.field, outcome.outcome) == (
            "config.voice_reference",
            common_pb2.OptionOutcome.OUTCOME_APPLIED,
        )
        assert self.lengths(responses)[0] > self.least_s

    @pytest.mark.parametrize(
        ("recording", "field"),
        [
            (reference(babble(2.0), ""), "config.voice_reference.transcript"),
            (reference(babble(2.0), "你好"), "config.voice_reference.transcript"),
            (reference(babble(2.0), "ನ"), "config.voice_reference.transcript"),
            (reference(babble(2.0) * 0, "ನಮಸ್ಕಾರ"), "config.voice_reference.audio"),
        ],
    )
    async def test_a_recording_without_a_voice_or_its_words_is_refused(
        self, recording: tts_pb2.VoiceReference, field: str
    ) -> None:
        async with self.served() as (method, _, _), exchange(method, self.config(voice_reference=recording)) as stream:
            await self.refuses(stream, field, "")

    async def test_a_language_that_the_model_does_not_speak_is_refused(self) -> None:
        async with self.served() as (method, _, _), exchange(method, self.config(language_code="en-IN")) as stream:
            await self.refuses(stream, "config.language_code", "kn")
