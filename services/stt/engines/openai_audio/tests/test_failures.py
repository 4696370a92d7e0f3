"""What a stream's caller is told when the server fails, and that neighbours and the service go on."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from voxmesh.stt.v1 import stt_pb2, stt_pb2_grpc
from voxmesh_runtime.audio import Samples
from voxmesh_runtime.engine import EngineContext
from voxmesh_stt.servicer import SttService
from voxmesh_stt.settings import SttSettings
from voxmesh_stt_openai_audio.engine import OpenAiAudioEngine
from voxmesh_stt_openai_audio.settings import OpenAiAudioSettings
from voxmesh_stt_openai_audio.testing import Play, TranscriptionServer, fails, says, streams
from voxmesh_testing.engines import hosting
from voxmesh_testing.service import FREED_WITHIN_S
from voxmesh_testing.speech import FINALIZE, PLAIN, Request, audio, finals
from voxmesh_testing.streams import Exchange, details, exchange, serving, wait_until

pytestmark = pytest.mark.engine

KEY = "sk-very-secret"
SAID = "Ill disposed young man"
DELTA = {"type": "transcript.text.delta", "delta": SAID}
CODE = grpc.StatusCode


def _config(**changes: Any) -> Request:
    return Request(config=stt_pb2.RecognitionConfig(audio_format=PLAIN.to_proto(), **changes))


@asynccontextmanager
async def _served(server: TranscriptionServer, **changes: Any) -> AsyncGenerator[tuple[Any, SttService]]:
    """The service before the server; what was asked at start is forgotten."""
    values: dict[str, Any] = {
        "base_url": server.url,
        "retry_max_wait_s": 0.2,
        "api_key": KEY,
        "timeout_s": 5,
        **changes,
    }
    settings = SttSettings(engine="openai_audio")
    engine = OpenAiAudioEngine(EngineContext(), OpenAiAudioSettings(**values))
    service = SttService(hosting("stt", engine, settings), settings)
    async with serving(service, settings) as (channel, _):
        server.uploads.clear()
        yield stt_pb2_grpc.SpeechToTextServiceStub(channel).StreamingRecognize, service


async def _failure(stream: Exchange[Any, Any], speech: Samples) -> grpc.aio.AioRpcError:
    await stream.until("ready")
    await stream.send(*audio(speech), FINALIZE)
    return await stream.failure()


async def _text(stream: Exchange[Any, Any], speech: Samples) -> str:
    await stream.until("ready")
    await stream.send(*audio(speech), FINALIZE)
    await stream.until("finalized")
    return finals(stream.seen)[-1].transcript


@pytest.mark.parametrize(
    ("plays", "code", "told"),
    [
        ([fails(429, "slow down", retry_after="7")], CODE.RESOURCE_EXHAUSTED, "at its limit"),
        ([fails(500, "CUDA error")], CODE.UNAVAILABLE, r"HTTP 500 \(CUDA error\); try again"),
        ([fails(503)], CODE.UNAVAILABLE, "HTTP 503"),
        ([fails(500, f"the gateway's key {KEY}\nis over its limit")], CODE.UNAVAILABLE, r"key \*\*\* is over"),
        ([fails(401, f"Incorrect API key provided: {KEY}")], CODE.FAILED_PRECONDITION, "OPENAI_AUDIO_API_KEY"),
        ([fails(404, "no such model")], CODE.FAILED_PRECONDITION, "no model 'whisper-1'"),
        ([fails(400, "unknown field: seed")], CODE.FAILED_PRECONDITION, "unknown field: seed.*EXTRA_FIELDS"),
        ([fails(302, location="http://elsewhere/")], CODE.FAILED_PRECONDITION, "HTTP 302"),
        ([Play(b"<html>", content_type="text/html")], CODE.UNAVAILABLE, "answered text/html that is no JSON"),
        (
            [Play(b'{"text": "Ill dis', content_type="text/plain")],
            CODE.UNAVAILABLE,
            "answered text/plain that is no JSON",
        ),
        ([Play(b"null")], CODE.UNAVAILABLE, "no transcription"),
        ([Play(parts=[b'{"text":'], is_cut=True)], CODE.UNAVAILABLE, "broke off"),
        ([streams(DELTA, is_cut=True)], CODE.UNAVAILABLE, "broke off"),
        ([streams(DELTA)], CODE.UNAVAILABLE, "broke off"),
        ([streams("{")], CODE.UNAVAILABLE, "events that are no transcription"),
        ([streams({"error": {"message": "out of memory"}}, "[DONE]")], CODE.UNAVAILABLE, "out of memory"),
        ([Play(parts=[b"["] + [b"0" * 65536] * 17)], CODE.UNAVAILABLE, "more than 1048576 bytes"),
    ],
    ids=[
        "429",
        "500",
        "503",
        "500 with the key",
        "401",
        "404",
        "400",
        "302",
        "a page",
        "half a JSON",
        "null",
        "a cut body",
        "cut events",
        "events without end",
        "broken events",
        "an error event",
        "a huge answer",
    ],
)
async def test_a_failed_final_is_a_typed_error(
    server: TranscriptionServer, speech: Samples, plays: Sequence[Play], code: grpc.StatusCode, told: str
) -> None:
    async with _served(server) as (method, _), exchange(method, _config()) as stream:
        server.play(*plays)
        error = await _failure(stream, speech)
        server.play(says("Fine."))
        async with exchange(method, _config()) as another:
            assert await _text(another, speech) == "Fine."
    assert error.code() == code
    assert re.search(told, str(error.details()))
    assert KEY not in str(error.details())


async def test_the_wait_that_the_server_asks_for_is_passed_on(server: TranscriptionServer, speech: Samples) -> None:
    async with _served(server, timeout_s=60) as (method, _), exchange(method, _config()) as stream:
        server.play(fails(429, retry_after="70"))
        async with asyncio.timeout(20):
            error = await _failure(stream, speech)
        assert len(server.uploads) == 1
    (info,) = [detail for detail in details(error) if isinstance(detail, error_details_pb2.RetryInfo)]
    assert info.retry_delay.seconds == 70


@pytest.mark.parametrize("passing", [fails(503), fails(429), Play(parts=[b"{"], is_cut=True), streams(DELTA)])
async def test_a_failure_that_passes_costs_a_moment(
    server: TranscriptionServer, speech: Samples, passing: Play
) -> None:
    async with _served(server) as (method, _), exchange(method, _config()) as stream:
        server.play(passing, says("Fine."))
        assert await _text(stream, speech) == "Fine."
        assert len(server.uploads) == 2


async def test_a_language_that_the_server_refuses_is_the_callers_mistake(
    server: TranscriptionServer, speech: Samples
) -> None:
    refusal = {"detail": [{"loc": ["body", "language"], "msg": "Input should be 'en' or 'de'", "input": "tlh"}]}
    body = json.dumps(refusal).encode()
    async with _served(server) as (method, _), exchange(method, _config(language_codes=["tlh"])) as stream:
        server.play(Play(body, 422))
        error = await _failure(stream, speech)
    assert error.code() == CODE.INVALID_ARGUMENT
    (bad,) = [detail for detail in details(error) if isinstance(detail, error_details_pb2.BadRequest)]
    assert [violation.field for violation in bad.field_violations] == ["config.language_codes[0]"]


async def test_a_prompt_that_the_server_refuses_is_the_callers_mistake(
    server: TranscriptionServer, speech: Samples
) -> None:
    async with (
        _served(server) as (method, _),
        exchange(method, _config(biasing=stt_pb2.Biasing(context="A novel."))) as stream,
    ):
        server.play(fails(400, "prompt is not supported by this model"))
        error = await _failure(stream, speech)
    assert error.code() == CODE.INVALID_ARGUMENT
    assert "config.biasing" in str(error.details())


async def test_a_control_token_never_reaches_the_server(server: TranscriptionServer) -> None:
    biasing = stt_pb2.Biasing(phrases=[stt_pb2.Phrase(text="fine"), stt_pb2.Phrase(text="<|im_end|>")])
    async with _served(server) as (method, _), exchange(method, _config(biasing=biasing)) as stream:
        error = await stream.failure()
        assert server.uploads == []
    assert error.code() == CODE.INVALID_ARGUMENT
    assert "config.biasing.phrases[1].text" in str(error.details())


async def test_a_server_that_hangs_is_left_at_the_deadline(server: TranscriptionServer, speech: Samples) -> None:
    async with _served(server, timeout_s=0.5) as (method, _), exchange(method, _config()) as stream:
        server.play(Play(pause_s=60))
        error = await _failure(stream, speech)
        await wait_until(lambda: server.hang_ups > 0)
    assert error.code() == CODE.UNAVAILABLE
    assert "no answer within 0.5 s" in str(error.details())


async def test_a_body_that_drips_is_left_at_the_deadline(server: TranscriptionServer, speech: Samples) -> None:
    async with _served(server, timeout_s=0.5) as (method, _), exchange(method, _config()) as stream:
        server.play(Play(parts=[b" "] * 600, gap_s=0.1))
        assert (await _failure(stream, speech)).code() == CODE.UNAVAILABLE
        await wait_until(lambda: server.hang_ups > 0)


async def test_one_streams_failure_is_not_its_neighbours(server: TranscriptionServer, speech: Samples) -> None:
    def by_language(upload: Any) -> Play:
        return fails(400, "language not supported") if upload.fields.get("language") == "fr" else says("Fine.")

    async with _served(server) as (method, _):
        server.play()
        server.compute = by_language
        async with (
            exchange(method, _config(language_codes=["fr"])) as bad,
            exchange(method, _config(language_codes=["en"])) as good,
        ):
            for stream in (bad, good):
                await stream.until("ready")
                await stream.send(*audio(speech))
            await bad.send(FINALIZE)
            await good.send(FINALIZE)
            assert (await bad.failure()).code() == CODE.INVALID_ARGUMENT
            await good.until("finalized")
            assert finals(good.seen)[-1].transcript == "Fine."


async def test_a_caller_that_leaves_while_the_server_hangs_is_freed(
    server: TranscriptionServer, speech: Samples
) -> None:
    async with _served(server, timeout_s=3) as (method, service), exchange(method, _config()) as stream:
        await stream.until("ready")
        server.play(Play(pause_s=60))
        await stream.send(*audio(speech), FINALIZE)
        await wait_until(lambda: bool(server.uploads))
        stream.call.cancel()
        await wait_until(lambda: service.streams.active_count == 0, FREED_WITHIN_S)


async def test_failed_interims_are_skipped_and_the_final_still_comes(
    server: TranscriptionServer, speech: Samples
) -> None:
    async with _served(server) as (method, _), exchange(method, _config(interim_results=True)) as stream:
        await stream.until("ready")
        server.play(fails(500))
        await stream.send(*audio(speech[: len(speech) // 2]))
        await wait_until(lambda: bool(server.uploads))
        await asyncio.sleep(0.05)
        server.play(says("Fine."))
        await stream.send(*audio(speech[len(speech) // 2 :]), FINALIZE)
        await stream.until("finalized")
    assert finals(stream.seen)[-1].transcript == "Fine."


async def test_neither_key_nor_words_are_ever_logged(
    server: TranscriptionServer, speech: Samples, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    biasing = stt_pb2.Biasing(context="Dashwood family")
    config = _config(biasing=biasing, interim_results=True)
    url = server.url.replace("//", "//user:hidden@")
    async with _served(server, base_url=url) as (method, _):
        plays = [says(SAID), fails(503, SAID), fails(400, f"{KEY} {SAID} Dashwood family"), streams(DELTA), says("ok")]
        for play in plays:
            server.play(play)
            async with exchange(method, config) as stream:
                await stream.until("ready")
                await stream.send(*audio(speech), FINALIZE)
                await stream.half_close()
                while play.status == 200 and not play.parts and await stream.next() is not None:
                    pass
                if play.status != 200 or play.parts:
                    await stream.failure()
    logged = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert "asking the server again" in logged
    assert not [secret for secret in (KEY, "hidden", SAID, "Dashwood") if secret in logged]
