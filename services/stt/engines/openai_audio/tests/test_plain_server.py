"""Real words from a server that answers JSON with a text, and refuses or ignores all else."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.batcher import SomeFailed
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import InvalidArgument
from voxmesh_stt.engine import RecognitionOptions, Step
from voxmesh_stt_openai_audio.engine import OpenAiAudioEngine
from voxmesh_stt_openai_audio.settings import OpenAiAudioSettings
from voxmesh_stt_openai_audio.testing import transcription_server
from voxmesh_stt_openai_audio.testing_recogniser import Recogniser
from voxmesh_testing.speech import likeness

pytestmark = pytest.mark.engine

SAID = "he was not an ill disposed young man"


@pytest.fixture(scope="module")
def engine() -> Iterator[OpenAiAudioEngine]:
    recogniser = Recogniser(is_plain=True)
    with transcription_server(recogniser.answer) as server:
        loaded = OpenAiAudioEngine(EngineContext(), OpenAiAudioSettings(base_url=server.url))
        loaded.load()
        loaded.warm_up()
        yield loaded
        loaded.close()
    recogniser.close()


def test_the_words_are_heard(engine: OpenAiAudioEngine, speech: Samples) -> None:
    session = engine.open(RecognitionOptions(word_time_offsets=True))
    ((final,),) = engine.step([Step(session, speech, is_final=True)])
    session.close()
    assert likeness(final.text, SAID) > 0.7
    assert (final.words, final.language_code) == ((), "")


def test_a_language_that_the_server_has_not_ends_its_stream_alone(engine: OpenAiAudioEngine, speech: Samples) -> None:
    sessions = [engine.open(RecognitionOptions(language_codes=(code,))) for code in ("fr", "en")]
    with pytest.raises(SomeFailed) as failed:
        engine.step([Step(session, speech, is_final=True) for session in sessions])
    french, english = failed.value.results
    assert isinstance(french, InvalidArgument)
    assert french.field == "config.language_codes[0]"
    assert likeness(english[-1].text, SAID) > 0.7
    for session in sessions:
        session.close()


def test_minutes_of_speech_keep_nothing_behind(engine: OpenAiAudioEngine, speech: Samples) -> None:
    session = engine.open(RecognitionOptions())
    minute = np.concatenate([np.concatenate([speech, np.zeros(2 * 16000, np.float32)])] * 12)
    texts: list[str] = []
    for begin in range(0, len(minute), 8000):
        ((*transcripts,),) = engine.step([Step(session, minute[begin : begin + 8000], is_final=False)])
        texts += [transcript.text for transcript in transcripts]
        assert sum(map(len, session._held)) <= 3 * 16000
    texts += [t.text for t in engine.step([Step(session, np.zeros(0, np.float32), is_final=True)])[0]]
    assert session._held == []
    assert session._transcripts == []
    assert likeness(" ".join(texts), " ".join([SAID] * 12)) > 0.7
    session.close()
