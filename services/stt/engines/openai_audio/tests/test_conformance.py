"""A transcription server behind the engine does what every speech-to-text engine must do."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from voxmesh.common.v1 import common_pb2
from voxmesh.stt.v1 import stt_pb2
from voxmesh_runtime.audio import read_audio_file
from voxmesh_runtime.clock import seconds_of
from voxmesh_runtime.engine import EngineContext
from voxmesh_stt_openai_audio.engine import OpenAiAudioEngine
from voxmesh_stt_openai_audio.probe import spoken_sentence
from voxmesh_stt_openai_audio.settings import OpenAiAudioSettings
from voxmesh_stt_openai_audio.testing import TranscriptionServer, transcription_server
from voxmesh_stt_openai_audio.testing_recogniser import Recogniser
from voxmesh_testing.speech import DISCARD, FINALIZE, RATE_HERTZ, Clip, audio, finals
from voxmesh_testing.streams import exchange
from voxmesh_testing.stt import SttConformance

pytestmark = pytest.mark.engine


@cache
def _clips() -> tuple[Clip, Clip]:
    amiable, _ = read_audio_file(Path(__file__).parent / "data" / "amiable.flac")
    return (
        Clip(spoken_sentence(), "he was not an ill disposed young man"),
        Clip(amiable, "he might even have been made amiable himself"),
    )


class TestOpenAiAudio(SttConformance):
    """Every rule, with real words from a real HTTP server that knows word times and events."""

    engine = "openai_audio"
    server: ClassVar[TranscriptionServer]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _server(cls) -> Iterator[None]:
        recogniser = Recogniser()
        with transcription_server(recogniser.answer, ["moonshine/tiny-en"]) as cls.server:
            yield
        recogniser.close()

    def create(self) -> OpenAiAudioEngine:
        """The engine before that server."""
        settings = OpenAiAudioSettings(base_url=self.server.url, language_codes=("en", "fr"))
        return OpenAiAudioEngine(EngineContext(), settings)

    def clips(self) -> tuple[Clip, Clip]:
        return _clips()

    async def test_the_server_is_described(self) -> None:
        async with self.served():
            info = self.loaded.info
        assert info.word_time_offsets
        assert (info.facts.model, info.facts.device) == ("moonshine/tiny-en", "upstream")

    async def test_the_detected_language_is_told(self) -> None:
        (result,) = finals(await self.recognized(*audio(self.clips()[0].samples), FINALIZE))
        assert result.language_code == "en"

    async def test_the_language_of_the_caller_is_kept_as_it_was_written(self) -> None:
        responses = await self.recognized(*audio(self.clips()[0].samples), FINALIZE, language_codes=["en-IN"])
        assert {r.result.language_code for r in responses if r.HasField("result")} == {"en-IN"}

    async def test_word_times_count_from_the_start_of_the_stream(self) -> None:
        clip = self.clips()[0]
        late = np.concatenate([np.zeros(3 * RATE_HERTZ, np.float32), clip.samples])
        (result,) = finals(await self.recognized(*audio(late), FINALIZE, word_time_offsets=True))
        assert [word.text for word in result.words] == result.transcript.split()
        assert 2.5 < seconds_of(result.words[0].start_offset) < 4
        assert seconds_of(result.words[-1].end_offset) <= len(late) / RATE_HERTZ

    async def test_a_pause_ends_an_utterance_at_its_place_in_the_stream(self) -> None:
        clip = self.clips()[0]
        dropped, pause = np.zeros(RATE_HERTZ, np.float32), np.zeros(2 * RATE_HERTZ, np.float32)
        requests = [*audio(dropped), DISCARD, *audio(np.concatenate([clip.samples, pause])), FINALIZE]
        by_itself, by_finalize = finals(await self.recognized(*requests))
        self.assert_heard(by_itself.transcript, clip)
        end_s = (len(dropped) + len(clip.samples)) / RATE_HERTZ
        assert seconds_of(by_itself.end_offset) == pytest.approx(end_s, abs=0.5)
        assert seconds_of(by_finalize.end_offset) == pytest.approx(end_s + 2, abs=0.01)
        assert by_finalize.transcript == ""

    async def test_biasing_becomes_a_prompt_and_says_so(self) -> None:
        biasing = stt_pb2.Biasing(phrases=[stt_pb2.Phrase(text="Dashwood")], context="A novel.")
        async with self.served() as (method, _, _), exchange(method, self.config(biasing=biasing)) as stream:
            ready = await stream.until("ready")
        outcomes = {option.field: option.outcome for option in ready.options if "biasing" in option.field}
        approximated = common_pb2.OptionOutcome.OUTCOME_APPROXIMATED
        assert outcomes == {"config.biasing.phrases": approximated, "config.biasing.context": approximated}
