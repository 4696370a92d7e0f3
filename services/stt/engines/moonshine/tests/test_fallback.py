"""A service whose engine cannot be loaded serves the next one, and says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from voxmesh.stt.v1 import stt_pb2, stt_pb2_grpc
from voxmesh_runtime.audio import read_audio_file
from voxmesh_runtime.engines import candidates, load_first
from voxmesh_runtime.errors import FailedPrecondition, NotFound
from voxmesh_runtime.host import EngineHost
from voxmesh_stt.servicer import SttService
from voxmesh_stt.settings import SttSettings
from voxmesh_testing.speech import FINALIZE, PLAIN, Request, audio, finals
from voxmesh_testing.streams import exchange, serving

pytestmark = pytest.mark.engine

SPEECH = Path(__file__).parent / "data" / "young_man.flac"


async def test_the_first_engine_that_loads_is_served_with_the_reasons_of_the_others() -> None:
    fallbacks = ("moonshine=/no/such/folder", "moonshine")
    settings = SttSettings(engine="not_installed", fallback_engines=fallbacks)
    async with serving(SttService(EngineHost.of("stt", settings), settings), settings) as (channel, _):
        stub = stt_pb2_grpc.SpeechToTextServiceStub(channel)
        info = (await stub.GetModelInfo(stt_pb2.GetModelInfoRequest())).model_info
        config = Request(config=stt_pb2.RecognitionConfig(audio_format=PLAIN.to_proto()))
        async with exchange(stub.StreamingRecognize, config) as stream:
            await stream.send(*audio(read_audio_file(SPEECH)[0]), FINALIZE)
            await stream.half_close()
            heard = finals(await stream.rest())
    assert info.engine == "moonshine"
    assert "not_installed: stt engine 'not_installed' is not installed" in info.engine_reason
    assert "moonshine: model '/no/such/folder' is no folder" in info.engine_reason
    assert info.resident_memory_bytes > 50_000_000
    assert "young man" in heard[-1].transcript


def test_when_nothing_loads_every_reason_is_told() -> None:
    settings = SttSettings(engine="not_installed", fallback_engines=("moonshine=/no/such/folder",))
    with pytest.raises(FailedPrecondition, match=r"not_installed: .* moonshine: model '/no/such/folder'"):
        load_first(candidates("stt", settings))


def test_without_fallbacks_an_unknown_engine_is_refused_at_once() -> None:
    with pytest.raises(NotFound, match="not_installed"):
        EngineHost.of("stt", SttSettings(engine="not_installed"))


async def test_the_first_choice_needs_no_reason() -> None:
    settings = SttSettings(engine="moonshine", fallback_engines=("not_installed",))
    async with serving(SttService(EngineHost.of("stt", settings), settings), settings) as (channel, _):
        stub = stt_pb2_grpc.SpeechToTextServiceStub(channel)
        info = (await stub.GetModelInfo(stt_pb2.GetModelInfoRequest())).model_info
    assert (info.engine, info.engine_reason) == ("moonshine", "")
