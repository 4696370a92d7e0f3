"""What a stream's caller is told when the server fails, and that neighbours and the service go on."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2

from voxmesh.tts.v1 import tts_pb2, tts_pb2_grpc
from voxmesh_runtime.audio import AudioFormat
from voxmesh_runtime.engine import EngineContext
from voxmesh_testing.engines import hosting
from voxmesh_testing.http import Play, fails
from voxmesh_testing.service import FREED_WITHIN_S
from voxmesh_testing.streams import details, exchange, serving, wait_until
from voxmesh_testing.tts import CANCEL, END, Request, Stream, samples_of, text
from voxmesh_tts.engine import SynthesisOptions
from voxmesh_tts.servicer import TtsService
from voxmesh_tts.settings import TtsSettings
from voxmesh_tts_openai_speech.engine import OpenAiSpeechEngine
from voxmesh_tts_openai_speech.settings import OpenAiSpeechSettings
from voxmesh_tts_openai_speech.testing import (
    RATE_HERTZ,
    SpeechRequest,
    SpeechServer,
    pcm,
    sounds,
    streamed,
    tone,
    wav_head,
)

pytestmark = pytest.mark.engine

KEY = "sk-very-secret"
SAID = "An ill disposed young man."
CODE = grpc.StatusCode
SECOND = pcm(tone(1.0))


def _config(**changes: Any) -> Request:
    return Request(config=tts_pb2.SynthesisConfig(**changes))


@asynccontextmanager
async def _served(server: SpeechServer, **changes: Any) -> AsyncGenerator[tuple[Any, TtsService]]:
    """The service before the server; what was asked at start is forgotten."""
    values: dict[str, Any] = {
        "base_url": server.url,
        "retry_max_wait_s": 0.3,
        "api_key": KEY,
        "first_audio_timeout_s": 5,
        "instructions": True,
        **changes,
    }
    settings = TtsSettings(engine="openai_speech")
    engine = OpenAiSpeechEngine(EngineContext(), OpenAiSpeechSettings(**values))
    service = TtsService(hosting("tts", engine, settings), settings)
    async with serving(service, settings) as (channel, _):
        server.requests.clear()
        yield tts_pb2_grpc.TextToSpeechServiceStub(channel).StreamingSynthesize, service


async def _speak(stream: Stream) -> float:
    """Seconds of audio."""
    await stream.until("ready")
    await stream.send(text(SAID), END)
    await stream.until("segment_finished")
    return len(samples_of(stream.seen, AudioFormat(sample_rate_hertz=RATE_HERTZ))) / RATE_HERTZ


async def _failure(stream: Stream) -> grpc.aio.AioRpcError:
    await stream.until("ready")
    await stream.send(text(SAID), END)
    return await stream.failure()


FAILING = {
    "429": ([fails(429, "slow down", retry_after="7")], CODE.RESOURCE_EXHAUSTED, "at its limit"),
    "500": ([fails(500, "CUDA error")], CODE.UNAVAILABLE, r"HTTP 500 \(CUDA error\); try again"),
    "503": ([fails(503)], CODE.UNAVAILABLE, "HTTP 503"),
    "500 with the key": ([fails(500, f"the key {KEY}\nis over")], CODE.UNAVAILABLE, r"key \*\*\* is over"),
    "500 in words": ([Play(b"Internal Server Error", 500, "text/plain")], CODE.UNAVAILABLE, "HTTP 500; try"),
    "500 of FastAPI": (
        [Play(b'{"detail": {"error": "processing_error", "message": "no phonemes"}}', 500)],
        CODE.UNAVAILABLE,
        r"HTTP 500 \(no phonemes\)",
    ),
    "401": ([fails(401, f"Incorrect API key provided: {KEY}")], CODE.FAILED_PRECONDITION, "OPENAI_SPEECH_API_KEY"),
    "403": ([fails(403)], CODE.FAILED_PRECONDITION, "OPENAI_SPEECH_API_KEY"),
    "404": ([fails(404, "no such model")], CODE.FAILED_PRECONDITION, "no model 'tts-1'"),
    "400": ([fails(400, "unknown field: seed")], CODE.FAILED_PRECONDITION, "unknown field: seed.*EXTRA_FIELDS"),
    "400 of a voice": ([fails(400, "Voice 'alloy' not found")], CODE.FAILED_PRECONDITION, "SPEECH_VOICES"),
    "422 as a list": (
        [Play(b'{"detail": [{"loc": ["body", "input"], "msg": "too long", "input": "secret"}]}', 422)],
        CODE.FAILED_PRECONDITION,
        "input: too long",
    ),
    "302": ([fails(302, location="http://elsewhere/")], CODE.FAILED_PRECONDITION, "HTTP 302"),
    "a page": ([Play(b"<html>", content_type="text/html")], CODE.UNAVAILABLE, "answered text/html that is no audio"),
    "JSON with 200": (
        [Play(b'{"error": "queue full"}')],
        CODE.UNAVAILABLE,
        r"application/json that is no audio \(queue full\)",
    ),
    "deep JSON with 200": ([Play(b"[" * 100_000)], CODE.UNAVAILABLE, "json that is no audio;"),
    "a page that claims to be audio": (
        [Play(b"<!DOCTYPE html>" * 9, content_type="audio/pcm")],
        CODE.UNAVAILABLE,
        "a page or JSON",
    ),
    "events": ([streamed(b"data: {}\n\n" * 9, "text/event-stream")], CODE.UNAVAILABLE, "event-stream that is no audio"),
    "a wav of 24 bits": ([Play(wav_head(0, bits=24) + SECOND, content_type="audio/wav")], CODE.UNAVAILABLE, "24 bits"),
    "cut before audio": ([streamed(SECOND[:100], is_cut=True)], CODE.UNAVAILABLE, "broke off"),
    "cut in mid-audio": ([streamed(SECOND, is_cut=True)], CODE.UNAVAILABLE, "broke off"),
    "a cut wav": ([streamed(wav_head(0) + SECOND, "audio/wav", is_cut=True)], CODE.UNAVAILABLE, "broke off"),
    "audio without end": ([streamed(SECOND * 130, size=480_000)], CODE.UNAVAILABLE, "more than 120 s"),
}


@pytest.fixture(autouse=True)
def _one_model_server_is_enough(server: SpeechServer) -> None:
    server.compute = sounds


@pytest.mark.parametrize(("plays", "code", "told"), FAILING.values(), ids=FAILING.keys())
async def test_a_failed_clause_is_a_typed_error(
    server: SpeechServer, plays: Sequence[Play], code: grpc.StatusCode, told: str
) -> None:
    async with _served(server) as (method, _), exchange(method, _config()) as stream:
        server.play(*plays)
        error = await _failure(stream)
        server.play()
        async with exchange(method, _config()) as another:
            assert await _speak(another) == pytest.approx(1.0)
    assert error.code() == code
    assert re.search(told, str(error.details()))
    assert KEY not in str(error.details())


async def test_audio_before_a_cut_is_delivered_and_its_end_is_not_silence(server: SpeechServer) -> None:
    async with _served(server) as (method, _), exchange(method, _config()) as stream:
        server.play(streamed(SECOND, is_cut=True))
        error = await _failure(stream)
        kinds = {response.WhichOneof("streaming_response") for response in stream.seen}
        assert len(server.requests) == 1
    assert error.code() == CODE.UNAVAILABLE
    assert "audio" in kinds
    assert "segment_finished" not in kinds


async def test_the_wait_that_the_server_asks_for_is_passed_on(server: SpeechServer) -> None:
    async with _served(server, first_audio_timeout_s=60) as (method, _), exchange(method, _config()) as stream:
        server.play(fails(429, retry_after="70"))
        async with asyncio.timeout(20):
            error = await _failure(stream)
        assert len(server.requests) == 1
    (info,) = [detail for detail in details(error) if isinstance(detail, error_details_pb2.RetryInfo)]
    assert info.retry_delay.seconds == 70


@pytest.mark.parametrize("passing", [fails(503), fails(429, retry_after="0.1"), streamed(b"\0" * 9, is_cut=True)])
async def test_a_failure_that_passes_costs_a_moment(server: SpeechServer, passing: Play) -> None:
    async with _served(server) as (method, _), exchange(method, _config()) as stream:
        server.play(passing, streamed(SECOND))
        assert await _speak(stream) == pytest.approx(1.0)
        assert len(server.requests) == 2


async def test_a_clause_without_audio_is_no_failure(server: SpeechServer) -> None:
    async with _served(server) as (method, _), exchange(method, _config()) as stream:
        server.play(Play(content_type="audio/pcm"))
        assert await _speak(stream) == 0.0


@pytest.mark.parametrize(
    ("config", "message", "field"),
    [
        ({"speaking_rate": 4.0}, "speed must be at most 3", "config.speaking_rate"),
        ({"instruction": "calmly"}, "instructions are not allowed", "config.instruction"),
    ],
)
async def test_a_wish_that_the_server_refuses_is_the_callers_mistake(
    server: SpeechServer, config: dict[str, Any], message: str, field: str
) -> None:
    async with _served(server) as (method, _), exchange(method, _config(**config)) as stream:
        server.play(fails(400, message))
        error = await _failure(stream)
    assert error.code() == CODE.INVALID_ARGUMENT
    (bad,) = [detail for detail in details(error) if isinstance(detail, error_details_pb2.BadRequest)]
    assert [violation.field for violation in bad.field_violations] == [field]


@pytest.mark.parametrize(
    ("play", "told"),
    [
        (Play(pause_s=60), "gave no audio within 0.5 s.*FIRST_AUDIO_TIMEOUT_S"),
        (streamed(SECOND, size=100, gap_s=0.2), "gave no audio within 0.5 s"),
        (streamed(SECOND, gap_s=60), "fell silent in mid-audio for 0.5 s.*SILENCE_TIMEOUT_S"),
    ],
    ids=["hangs", "drips", "falls silent"],
)
async def test_a_server_that_gives_no_more_is_left_at_the_deadline(server: SpeechServer, play: Play, told: str) -> None:
    async with (
        _served(server, first_audio_timeout_s=0.5, silence_timeout_s=0.5, start_timeout_s=20) as (method, _),
        exchange(method, _config()) as stream,
    ):
        server.play(play)
        error = await _failure(stream)
        await wait_until(lambda: server.hang_ups > 0)
    assert error.code() == CODE.UNAVAILABLE
    assert re.search(told, str(error.details()))


async def test_a_cancel_hangs_up_at_once(server: SpeechServer) -> None:
    async with _served(server, silence_timeout_s=60) as (method, _), exchange(method, _config()) as stream:
        await stream.until("ready")
        server.play(streamed(SECOND, gap_s=60))
        await stream.send(text(SAID))
        await stream.until("audio")
        await stream.send(CANCEL)
        assert (await stream.until("segment_finished")).cancelled
        await wait_until(lambda: server.hang_ups > 0, FREED_WITHIN_S)


@pytest.mark.parametrize("play", [Play(pause_s=60), streamed(SECOND, gap_s=60)], ids=["before audio", "in mid-audio"])
async def test_a_caller_that_leaves_frees_the_server(server: SpeechServer, play: Play) -> None:
    async with (
        _served(server, first_audio_timeout_s=60, silence_timeout_s=60) as (method, service),
        exchange(method, _config()) as stream,
    ):
        await stream.until("ready")
        server.play(play)
        await stream.send(text(SAID))
        await wait_until(lambda: bool(server.requests))
        stream.call.cancel()
        await wait_until(lambda: service.streams.active_count == 0, FREED_WITHIN_S)
        await wait_until(lambda: server.hang_ups > 0, FREED_WITHIN_S)


async def test_a_stream_whose_audio_hangs_holds_up_no_other(server: SpeechServer) -> None:
    def by_text(request: SpeechRequest) -> Play:
        return Play(pause_s=60) if "hang" in request.fields["input"] else streamed(SECOND)

    async with _served(server, first_audio_timeout_s=60) as (method, _):
        server.play()
        server.compute = by_text
        async with exchange(method, _config()) as hanging, exchange(method, _config()) as other:
            await hanging.until("ready")
            await hanging.send(text("This will hang."), END)
            async with asyncio.timeout(10):
                assert await _speak(other) == pytest.approx(1.0)


async def test_no_more_requests_go_out_than_the_server_may_get(server: SpeechServer) -> None:
    async with _served(server, max_concurrent_requests=2) as (method, _):
        server.play(streamed(SECOND, gap_s=0.02))
        async with asyncio.TaskGroup() as tasks:
            lengths = [tasks.create_task(_alone(method)) for _ in range(4)]
    assert [length.result() for length in lengths] == [pytest.approx(1.0)] * 4
    assert server.most_at_once == 2


async def _alone(method: Any) -> float:
    async with exchange(method, _config()) as stream:
        return await _speak(stream)


def test_text_that_is_too_long_for_the_server_goes_in_parts(server: SpeechServer) -> None:
    settings = OpenAiSpeechSettings(base_url=server.url, max_input_characters=40)
    engine = OpenAiSpeechEngine(EngineContext(), settings)
    engine.load()
    assert engine.info.clause_limits.maximum == 40
    session = engine.open(SynthesisOptions("alloy", "en"))
    server.requests.clear()
    words = "a word " * 30 + "x" * 90
    assert sum(map(len, session.synthesize(words))) == len(server.requests) * RATE_HERTZ
    inputs = [request.fields["input"] for request in server.requests]
    assert max(map(len, inputs)) <= 40
    assert "".join(inputs).replace(" ", "") == words.replace(" ", "")
    engine.close()


async def test_neither_key_nor_words_are_ever_logged(server: SpeechServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = server.url.replace("//", "//user:hidden@")
    bad = [fails(503, SAID), fails(400, f"{KEY} {SAID}"), Play(f'{{"error": "{SAID}"}}'.encode())]
    async with _served(server, base_url=url) as (method, _):
        for play in [*bad, streamed(SECOND, is_cut=True), Play(content_type="audio/pcm")]:
            server.play(play)
            async with exchange(method, _config(instruction="quite calmly")) as stream:
                if play.status == 200 and not play.is_cut and play.content_type == "audio/pcm":
                    await _speak(stream)
                else:
                    await _failure(stream)
    logged = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert "asking the server again" in logged
    assert "gave no audio" in logged
    assert not [secret for secret in (KEY, "hidden", SAID, "calmly") if secret in logged]


async def test_silence_of_the_service_itself_is_never_sent(server: SpeechServer) -> None:
    async with _served(server) as (method, _), exchange(method, _config()) as stream:
        server.play(streamed(SECOND, gap_s=0.1))
        await _speak(stream)
        samples = samples_of(stream.seen, AudioFormat(sample_rate_hertz=RATE_HERTZ))
    assert np.abs(samples - tone(1.0)).max() < 0.001
