"""The engine does what every speech-to-text engine must do, with either decoder."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import grpc
import pytest

from voxmesh.common.v1 import common_pb2
from voxmesh.stt.v1 import stt_pb2
from voxmesh_runtime.audio import read_audio_file
from voxmesh_runtime.engine import EngineContext
from voxmesh_stt_indic_conformer.languages import LANGUAGES
from voxmesh_testing.speech import FINALIZE, Clip, Request, audio, finals
from voxmesh_testing.streams import exchange
from voxmesh_testing.stt import SttConformance

pytestmark = pytest.mark.engine

DATA = Path(__file__).parent / "data"


@cache
def _clip(name: str) -> Clip:
    samples, _ = read_audio_file(DATA / f"{name}.flac")
    return Clip(samples, json.loads((DATA / "clips.json").read_text(encoding="utf-8"))[name]["text"])


class _Words(SttConformance):
    engine = "indic_conformer"
    decoder: ClassVar[str]

    @pytest.fixture(autouse=True)
    def _decoder(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("VOXMESH_INDIC_CONFORMER_DECODER", self.decoder)

    def clips(self) -> tuple[Clip, Clip]:
        return _clip("numbers"), _clip("greeting")

    def config(self, **changes: Any) -> Request:
        return super().config(**{"language_codes": ["hi"], **changes})


class TestRnnt(_Words):
    """Every rule, with the default decoder."""

    decoder = "rnnt"
    context = EngineContext(model=str(DATA / "words"))

    async def test_another_language_is_written_in_its_own_letters(self) -> None:
        requests = [*audio(_clip("counting").samples), FINALIZE]
        (final,) = finals(await self.recognized(*requests, language_codes=["kn-IN"]))
        self.assert_heard(final.transcript, _clip("counting"))
        assert final.language_code == "kn"

    @pytest.mark.parametrize("codes", [[], ["en"], ["hi", "en-US"]])
    async def test_no_language_and_english_are_refused_with_the_list(self, codes: list[str]) -> None:
        async with self.served() as (method, _, _), exchange(method, self.config(language_codes=codes)) as stream:
            error = await stream.failure()
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "config.language_codes" in str(error.details())
        assert ", ".join(LANGUAGES) in str(error.details())

    async def test_several_languages_are_told_to_be_one(self) -> None:
        async with (
            self.served() as (method, _, _),
            exchange(method, self.config(language_codes=["kn", "hi"])) as stream,
        ):
            ready = await stream.until("ready")
        (outcome,) = [option for option in ready.options if option.field == "config.language_codes"]
        assert outcome.outcome == common_pb2.OptionOutcome.OUTCOME_APPROXIMATED
        assert "'kn', the first" in outcome.detail

    async def test_phrases_mend_a_name_and_those_in_other_letters_are_told(self) -> None:
        biasing = stt_pb2.Biasing(phrases=[stt_pb2.Phrase(text="क्लॉड"), stt_pb2.Phrase(text="Claude")])
        requests = [*audio(_clip("claude").samples), FINALIZE]
        async with (
            self.served() as (method, _, _),
            exchange(method, self.config(biasing=biasing)) as stream,
        ):
            ready = await stream.until("ready")
            await stream.send(*requests)
            await stream.half_close()
            (final,) = finals([one for one in await stream.rest() if one.HasField("result")])
        outcomes = {option.field: option.outcome for option in ready.options if "biasing" in option.field}
        assert outcomes == {
            "config.biasing.phrases": common_pb2.OptionOutcome.OUTCOME_APPLIED,
            "config.biasing.phrases[1]": common_pb2.OptionOutcome.OUTCOME_IGNORED,
        }
        assert final.transcript == "नमस्ते क्लॉड"


class TestCtc(_Words):
    """Every rule, with the cheaper decoder."""

    decoder = "ctc"
    context = EngineContext(model=str(DATA / "words"))
