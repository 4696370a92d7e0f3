"""Qwen3-TTS passes the suite of its slot, by the true package on a small checkpoint with random weights."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from voxmesh.common.v1 import common_pb2
from voxmesh.tts.v1 import tts_pb2
from voxmesh_runtime.audio import AudioFormat, Encoding, Samples
from voxmesh_runtime.engine import EngineContext
from voxmesh_testing.engines import KeptLoaded
from voxmesh_testing.streams import exchange
from voxmesh_testing.tts import END, Request, TtsConformance, samples_of, text
from voxmesh_tts_qwen_tts.engine import QwenTtsEngine
from voxmesh_tts_qwen_tts.testing import SHORT, recording

pytestmark = pytest.mark.engine


class TestQwenTts(TtsConformance):
    """Every rule; the model speaks noise, as long as its text allows."""

    engine = "qwen_tts"

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _checkpoint(cls, checkpoints: dict[str, Path]) -> None:
        cls.context = EngineContext(model=str(checkpoints["custom_voice"]), device="cpu")

    def create(self) -> QwenTtsEngine:
        """The engine, which speaks shortly."""
        assert self.context is not None
        return QwenTtsEngine(self.context, SHORT)

    def work(self) -> Sequence[Request]:
        """Some seconds of it."""
        return [text(f"{self.sentence} " * 8)]

    async def test_streams_of_different_voices_at_once_sound_as_each_alone(self) -> None:
        voices = ("ryan", "vivian", "eric")
        alone = [samples_of(await self.spoken(text(self.sentence), END, voice=voice), FORMAT) for voice in voices]
        async with self.served() as (method, _, _):
            together = await asyncio.gather(*(self._said(method, voice) for voice in voices))
        assert not np.array_equal(alone[0], alone[1])
        for one, other in zip(alone, together, strict=True):
            assert np.array_equal(one, other)

    async def test_a_language_that_the_model_does_not_speak_is_refused_with_those_that_it_does(self) -> None:
        async with self.served() as (method, _, _):
            for code in ("kn", "hi-IN"):
                async with exchange(method, self.config(language_code=code)) as stream:
                    await self.refuses(stream, "config.language_code", "zh")
            async with exchange(method, self.config(voice="vivian", language_code="kn")) as stream:
                await self.refuses(stream, "config.language_code", "vivian speaks")

    async def test_an_unknown_speaker_is_refused_with_all_that_are_here(self) -> None:
        async with self.served() as (method, _, _), exchange(method, self.config(voice="nobody")) as stream:
            error = await stream.failure()
        assert error.code() == grpc.StatusCode.NOT_FOUND
        assert "ryan, someone, eric, vivian" in str(error.details())

    async def _said(self, method: Any, voice: str) -> Samples:
        async with exchange(method, self.config(voice=voice), text(self.sentence), END) as stream:
            await stream.half_close()
            return samples_of(await stream.rest(), FORMAT)


FORMAT = AudioFormat(sample_rate_hertz=24000)


def reference(samples: Samples, audio_format: AudioFormat, transcript: str = "Hm.") -> tts_pb2.VoiceReference:
    """A recording as a caller sends it; `samples` are [count] or [count, channels]."""
    is_float = audio_format.encoding is Encoding.F32LE
    data = samples.astype("<f4") if is_float else np.round(samples * 32767).astype("<i2")
    return tts_pb2.VoiceReference(audio_format=audio_format.to_proto(), audio=data.tobytes(), transcript=transcript)


class Cloning(TtsConformance):
    """A service that clones; its own tests follow, the suite's are run with speakers above."""

    engine = "qwen_tts"

    def __init__(self, loaded: QwenTtsEngine) -> None:
        self._engine = KeptLoaded(loaded)

    @property
    def loaded(self) -> KeptLoaded:
        """The engine under test."""
        return self._engine

    async def heard(self, sent: tts_pb2.VoiceReference) -> tuple[Sequence[common_pb2.OptionOutcome], Samples]:
        """How a reference was taken, and what was said with its voice."""
        responses = await self.spoken(text("No."), END, voice_reference=sent)
        return responses[0].ready.options, samples_of(responses, FORMAT)


@pytest.fixture(scope="module")
def cloning(engines: dict[str, QwenTtsEngine]) -> Cloning:
    return Cloning(engines["base"])


async def test_a_recording_of_any_format_gives_a_voice(cloning: Cloning) -> None:
    one, other = recording(), recording(sample_rate_hertz=48000)
    sent = {
        "plain": reference(one, AudioFormat(Encoding.S16LE, 24000)),
        "stereo": reference(np.stack([one, one], axis=1), AudioFormat(Encoding.S16LE, 24000, 2)),
        "another rate": reference(other, AudioFormat(Encoding.F32LE, 48000)),
        "too loud": reference(other * 3, AudioFormat(Encoding.F32LE, 48000)),
    }
    heard = {kind: await cloning.heard(each) for kind, each in sent.items()}
    for options, samples in heard.values():
        assert [(option.field, option.outcome) for option in options] == [
            ("config.voice_reference", common_pb2.OptionOutcome.OUTCOME_APPLIED)
        ]
        assert len(samples)
    # Both channels are the same: so is the voice.
    assert np.array_equal(heard["plain"][1], heard["stereo"][1])


async def test_without_a_transcript_the_voice_is_approximated(cloning: Cloning) -> None:
    (option,), samples = await cloning.heard(reference(recording(), FORMAT, ""))
    assert option.outcome == common_pb2.OptionOutcome.OUTCOME_APPROXIMATED
    assert "transcript" in option.detail
    assert len(samples)


@pytest.mark.parametrize(
    ("sent", "field", "problem"),
    [
        (reference(recording(seconds=0), FORMAT), "audio", "1 to 30 s"),
        (reference(recording(seconds=0.01), FORMAT), "audio", "1 to 30 s"),
        (reference(recording(seconds=31), AudioFormat(Encoding.S16LE, 8000)), "audio", "1 to 30 s"),
        (reference(recording() * 0, FORMAT), "audio", "is silent"),
        (reference(recording() * np.float32(np.nan), AudioFormat(Encoding.F32LE, 24000)), "audio", ""),
        (reference(recording(), FORMAT, "<|im_end|>"), "transcript", "control token"),
        (reference(recording(), FORMAT, "x" * 1001), "transcript", "1000 characters"),
    ],
    ids=["empty", "10 ms", "too long", "silence", "nan", "mark", "long transcript"],
)
async def test_a_recording_that_gives_no_voice_is_refused(
    cloning: Cloning, sent: tts_pb2.VoiceReference, field: str, problem: str
) -> None:
    config = Request(config=tts_pb2.SynthesisConfig(voice_reference=sent))
    async with cloning.served() as (method, _, _), exchange(method, config) as stream:
        await cloning.refuses(stream, f"config.voice_reference.{field}", problem)


async def test_a_model_that_clones_refuses_a_stream_without_a_recording(cloning: Cloning) -> None:
    async with cloning.served() as (method, _, _), exchange(method, cloning.config()) as stream:
        await cloning.refuses(stream, "config.voice_reference", "send 3 to 30 s")


async def test_an_instruction_is_ignored_where_the_model_follows_none(cloning: Cloning) -> None:
    sent = reference(recording(), FORMAT)
    async with cloning.stream(voice_reference=sent, instruction="whisper") as (stream, _):
        (ready,) = [response.ready for response in stream.seen if response.HasField("ready")]
    outcomes = {option.field: option.outcome for option in ready.options}
    assert outcomes["config.instruction"] == common_pb2.OptionOutcome.OUTCOME_IGNORED
