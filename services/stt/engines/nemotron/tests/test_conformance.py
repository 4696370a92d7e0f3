"""The NeMo engine does what every speech-to-text engine must do."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from voxmesh.common.v1 import common_pb2
from voxmesh.stt.v1 import stt_pb2
from voxmesh_runtime.audio import read_audio_file
from voxmesh_runtime.clock import seconds_of
from voxmesh_runtime.engine import EngineContext
from voxmesh_testing.speech import DISCARD, FINALIZE, RATE_HERTZ, Clip, audio, finals
from voxmesh_testing.streams import exchange
from voxmesh_testing.stt import SttConformance

pytestmark = pytest.mark.engine

DATA = Path(__file__).parent / "data"


@cache
def _clip(name: str, text: str) -> Clip:
    return Clip(read_audio_file(DATA / f"{name}.flac")[0], text)


@pytest.fixture(autouse=True, scope="module")
def phrase_weight() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VOXMESH_NEMOTRON_PHRASE_WEIGHT", "3")
        yield


class TestNemotron(SttConformance):
    """Every rule, with a model of 20 words that was trained on espeak-ng."""

    engine = "nemotron"
    least_likeness = 0.6
    context = EngineContext(model=str(DATA / "words.nemo"))

    def clips(self) -> tuple[Clip, Clip]:
        # The second is said for a minute: after a pause the little model loses fewest words of this one.
        asking = _clip("asking", "hello weather code please yes stop")
        return asking, _clip("counting", "zero one two three four five six")

    async def test_a_pause_ends_an_utterance_at_its_place_in_the_stream(self) -> None:
        clip = self.clips()[0]
        dropped, pause = np.zeros(RATE_HERTZ, np.float32), np.zeros(2 * RATE_HERTZ, np.float32)
        async with self.recognizing(interim_results=False) as stream:
            await stream.send(*audio(dropped), DISCARD, *audio(np.concatenate([clip.samples, pause])))
            by_itself = await stream.until("result")
            await stream.send(FINALIZE)
            by_finalize = await stream.until("result")
            await stream.half_close()
        self.assert_heard(by_itself.transcript, clip)
        end_s = (len(dropped) + len(clip.samples)) / RATE_HERTZ
        assert seconds_of(by_itself.end_offset) == pytest.approx(end_s, abs=0.5)
        assert seconds_of(by_finalize.end_offset) == pytest.approx(end_s + 2, abs=0.01)
        assert (by_itself.utterance_index, by_finalize.utterance_index) == (1, 2)
        assert by_finalize.transcript == ""

    async def test_phrases_change_what_is_heard_and_each_that_cannot_be_written_is_named(self) -> None:
        clip = _clip("claude", "hello claude please")
        phrases = [stt_pb2.Phrase(text=text) for text in ("Müller", "claude", "B-52")]
        biasing = stt_pb2.Biasing(phrases=phrases, context="We talk about Claude.")
        plain = finals(await self.recognized(*audio(clip.samples), FINALIZE))[-1]
        boosted = finals(await self.recognized(*audio(clip.samples), FINALIZE, biasing=biasing))[-1]
        assert plain.transcript == "hello cloud please"
        assert boosted.transcript == "hello claude please"
        async with self.served() as (method, _, _), exchange(method, self.config(biasing=biasing)) as stream:
            ready = await stream.until("ready")
        outcomes = {option.field: option.outcome for option in ready.options if "biasing" in option.field}
        assert outcomes == {
            "config.biasing.phrases": common_pb2.OptionOutcome.OUTCOME_APPROXIMATED,
            "config.biasing.phrases[0]": common_pb2.OptionOutcome.OUTCOME_IGNORED,
            "config.biasing.phrases[2]": common_pb2.OptionOutcome.OUTCOME_IGNORED,
            "config.biasing.context": common_pb2.OptionOutcome.OUTCOME_IGNORED,
        }
