"""Whisper does what every speech-to-text engine must do."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2

from voxmesh.common.v1 import common_pb2
from voxmesh.stt.v1 import stt_pb2
from voxmesh_runtime.audio import read_audio_file
from voxmesh_runtime.clock import seconds_of
from voxmesh_runtime.engine import EngineContext
from voxmesh_stt.settings import SttSettings
from voxmesh_testing.speech import FINALIZE, RATE_HERTZ, Clip, audio, finals
from voxmesh_testing.streams import details, exchange, wait_until
from voxmesh_testing.stt import SttConformance

pytestmark = pytest.mark.engine

DATA = Path(__file__).parent / "data"


@cache
def _clips() -> tuple[Clip, Clip]:
    young_man, _ = read_audio_file(DATA / "young_man.flac")
    amiable, _ = read_audio_file(DATA / "amiable.flac")
    return (
        Clip(young_man, "he was not an ill disposed young man"),
        Clip(amiable, "he might even have been made amiable himself"),
    )


class TestFasterWhisper(SttConformance):
    """Every rule, with tiny.en and two clips of read speech."""

    engine = "faster_whisper"
    context = EngineContext(cache_dir=SttSettings().cache_dir)

    def clips(self) -> tuple[Clip, Clip]:
        return _clips()

    async def test_words_lie_in_the_speech_and_have_a_confidence(self) -> None:
        clip = self.clips()[1]
        pause = np.zeros(RATE_HERTZ, np.float32)
        requests = [*audio(np.concatenate([pause, clip.samples])), FINALIZE]
        (final,) = finals(await self.recognized(*requests, word_time_offsets=True))
        assert " ".join(word.text for word in final.words) == final.transcript
        assert 0.6 < seconds_of(final.words[0].start_offset) < 1.6
        assert seconds_of(final.words[-1].end_offset) <= 1.0 + len(clip.samples) / RATE_HERTZ
        assert all(word.start_offset.ToNanoseconds() <= word.end_offset.ToNanoseconds() for word in final.words)
        assert all(0 < word.confidence <= 1 for word in final.words)
        assert 0 < final.confidence <= 1
        assert final.language_code == "en"

    async def test_a_language_that_the_model_lacks_is_refused_with_those_that_it_knows(self) -> None:
        config = self.config(language_codes=["kn"])
        async with self.served() as (method, _, _), exchange(method, config) as stream:
            error = await stream.failure()
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "'kn' is not supported; the model knows en" in str(error.details())

    async def test_the_callers_own_tag_comes_back(self) -> None:
        (final,) = finals(await self.recognized(*audio(self.clips()[0].samples), language_codes=["en-IN"]))
        assert final.language_code == "en-IN"

    async def test_hints_are_answered_for_what_they_are(self) -> None:
        phrases = [stt_pb2.Phrase(text="Dashwood"), stt_pb2.Phrase(text="Norland Park", boost=4)]
        biasing = stt_pb2.Biasing(phrases=phrases, context="A novel by Jane Austen.")
        outcomes = await self._biasing_outcomes(biasing)
        assert {field: option.outcome for field, option in outcomes.items()} == {
            "config.biasing.phrases": common_pb2.OptionOutcome.OUTCOME_APPROXIMATED,
            "config.biasing.context": common_pb2.OptionOutcome.OUTCOME_APPLIED,
        }
        assert "weak" in outcomes["config.biasing.phrases"].detail

    async def test_phrases_that_do_not_fit_are_told_one_by_one(self) -> None:
        phrases = [stt_pb2.Phrase(text=f"Gentleman number {index}") for index in range(100)]
        phrases.append(stt_pb2.Phrase(text="Dashwood", boost=10))
        outcomes = await self._biasing_outcomes(stt_pb2.Biasing(phrases=phrases, context="Long ago. " * 300))
        ignored = common_pb2.OptionOutcome.OUTCOME_IGNORED
        left_out = [field for field, option in outcomes.items() if option.outcome == ignored]
        assert len(left_out) > 50
        assert "config.biasing.phrases[99]" in left_out
        assert "config.biasing.phrases[0]" not in outcomes
        assert "config.biasing.phrases[100]" not in outcomes
        assert all("223 tokens" in outcomes[field].detail for field in left_out)
        assert "the last" in outcomes["config.biasing.context"].detail

    @pytest.mark.parametrize(
        ("field", "biasing"),
        [
            ("config.biasing.context", {"context": "Then <|startoftranscript|><|kn|>"}),
            ("config.biasing.context", {"context": "<|0.00|>"}),
            ("config.biasing.phrases[1].text", {"phrases": [{"text": "fine"}, {"text": "<|endoftext|>"}]}),
        ],
    )
    async def test_tokens_of_the_models_own_are_refused(self, field: str, biasing: dict[str, object]) -> None:
        async with self.served() as (method, _, _), exchange(method, self.config(biasing=biasing)) as stream:
            error = await stream.failure()
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        violations = [
            d.field_violations[0].field for d in details(error) if isinstance(d, error_details_pb2.BadRequest)
        ]
        assert violations == [field]

    async def test_a_cancelled_stream_leaves_the_model_to_the_others(self) -> None:
        clip = self.clips()[0]
        long = np.tile(clip.samples, 8)
        async with self.served() as (method, _, service), exchange(method, self.config()) as other:
            await other.until("ready")
            async with exchange(method, self.config()) as stream:
                await stream.until("ready")
                await stream.send(*audio(long, chunk_s=0.5), FINALIZE)
                stream.call.cancel()
            await wait_until(lambda: service.streams.active_count == 1, 1.0)
            await other.send(*audio(clip.samples), FINALIZE)
            await other.half_close()
            self.assert_heard(finals(await other.rest())[-1].transcript, clip)

    async def _biasing_outcomes(self, biasing: stt_pb2.Biasing) -> dict[str, common_pb2.OptionOutcome]:
        async with self.served() as (method, _, _), exchange(method, self.config(biasing=biasing)) as stream:
            ready = await stream.until("ready")
        return {option.field: option for option in ready.options if "biasing" in option.field}
