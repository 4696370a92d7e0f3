"""The Moonshine engine does what every speech-to-text engine must do."""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from voxmesh.common.v1 import common_pb2
from voxmesh.stt.v1 import stt_pb2
from voxmesh_runtime.audio import read_audio_file
from voxmesh_runtime.clock import seconds_of
from voxmesh_testing.speech import DISCARD, FINALIZE, RATE_HERTZ, Clip, audio, finals
from voxmesh_testing.streams import exchange, wait_until
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


class TestMoonshine(SttConformance):
    """Every rule, with two clips of read speech."""

    engine = "moonshine"

    def clips(self) -> tuple[Clip, Clip]:
        return _clips()

    async def test_a_pause_ends_an_utterance_at_its_place_in_the_stream(self) -> None:
        clip = self.clips()[0]
        dropped, pause = np.zeros(RATE_HERTZ, np.float32), np.zeros(2 * RATE_HERTZ, np.float32)
        requests = [*audio(dropped), DISCARD, *audio(np.concatenate([clip.samples, pause])), FINALIZE]
        by_itself, by_finalize = finals(await self.recognized(*requests))
        self.assert_heard(by_itself.transcript, clip)
        end_s = (len(dropped) + len(clip.samples)) / RATE_HERTZ
        assert seconds_of(by_itself.end_offset) == pytest.approx(end_s, abs=0.5)
        assert seconds_of(by_finalize.end_offset) == pytest.approx(end_s + 2, abs=0.01)
        assert (by_itself.utterance_index, by_finalize.utterance_index) == (1, 2)
        assert by_finalize.transcript == ""

    async def test_biasing_is_ignored_with_a_reason(self) -> None:
        biasing = stt_pb2.Biasing(phrases=[stt_pb2.Phrase(text="Dashwood")], context="A novel.")
        async with self.served() as (method, _, _), exchange(method, self.config(biasing=biasing)) as stream:
            ready = await stream.until("ready")
        outcomes = {option.field: option for option in ready.options if "biasing" in option.field}
        assert set(outcomes) == {"config.biasing.phrases", "config.biasing.context"}
        ignored = common_pb2.OptionOutcome.OUTCOME_IGNORED
        assert all(option.outcome == ignored and option.detail for option in outcomes.values())

    async def test_a_stopped_server_leaves_no_thread(self) -> None:
        before = threading.active_count()
        await self.recognized(*audio(self.clips()[0].samples), FINALIZE)
        await wait_until(lambda: threading.active_count() <= before)
