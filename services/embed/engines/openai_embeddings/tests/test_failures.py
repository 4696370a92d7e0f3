"""A server that fails is asked again, told apart by text, given up in time, and never quoted with its key."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest

from voxmesh.embed.v1 import embed_pb2, embed_pb2_grpc
from voxmesh_embed.engine import Text, Vector
from voxmesh_embed.servicer import EmbedService
from voxmesh_embed.settings import EmbedSettings
from voxmesh_embed_openai_embeddings.engine import OpenAiEmbeddingsEngine
from voxmesh_embed_openai_embeddings.settings import OpenAiEmbeddingsSettings
from voxmesh_embed_openai_embeddings.testing import (
    KEY,
    EmbeddingsRequest,
    EmbeddingsServer,
    answered,
    by_letters,
    vectors_of,
)
from voxmesh_runtime.batcher import SomeFailed
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import FailedPrecondition, InvalidArgument, Overloaded, Unavailable
from voxmesh_testing.engines import hosting
from voxmesh_testing.http import Play, fails
from voxmesh_testing.streams import exchange, serving, wait_until

pytestmark = pytest.mark.engine

Connect = Callable[..., OpenAiEmbeddingsEngine]
HELLO = [Text("hello")]
GOOD = answered(vectors_of(["hello"]))


def failure_of(engine: OpenAiEmbeddingsEngine, texts: list[Text] = HELLO) -> Any:
    """The error of the only text that failed."""
    with pytest.raises(SomeFailed) as failed:
        engine.embed(texts)
    (error,) = {id(result): result for result in failed.value.results if isinstance(result, Exception)}.values()
    return error


@pytest.mark.parametrize(
    ("play", "kind", "words"),
    [
        (fails(401), FailedPrecondition, "API_KEY"),
        (fails(403), FailedPrecondition, "API_KEY"),
        (fails(404, "no such model"), FailedPrecondition, "BASE_URL"),
        (fails(400, "bad words"), InvalidArgument, "bad words"),
        (fails(429, retry_after="7"), Overloaded, "limit"),
        (fails(429), Overloaded, "limit"),
        (fails(500, "out of memory"), Unavailable, "out of memory"),
        (fails(503), Unavailable, "503"),
        (Play(b"<html>hello</html>", content_type="text/html"), Unavailable, "no JSON"),
        (Play(b"{", content_type="application/json"), Unavailable, "no JSON"),
        (Play(b"[" * 100_000), Unavailable, "no JSON"),
        (Play(b'{"data": [{"embedding": [NaN, 1, 1, 1, 1, 1, 1, 1]}]}'), Unavailable, "not finite"),
        (answered([[1.0] * 7]), Unavailable, "7 values, not 8"),
        (answered([]), Unavailable, "0 vectors"),
        (answered([[0.0] * 8]), Unavailable, "direction"),
        (Play(parts=[b'{"data": ['], is_cut=True), Unavailable, "broke off"),
        (Play(b"", status=301, headers={"location": "http://127.0.0.1:1/"}), FailedPrecondition, "BASE_URL"),
    ],
)
def test_failures_are_typed_and_say_what_to_do(
    server: EmbeddingsServer, connect: Connect, play: Play, kind: type[Exception], words: str
) -> None:
    engine = connect()
    server.play(play)
    error = failure_of(engine)
    assert isinstance(error, kind)
    assert words in str(error)


def test_the_servers_wait_is_told(server: EmbeddingsServer, connect: Connect) -> None:
    engine = connect()
    server.play(fails(429, retry_after="7"))
    assert failure_of(engine).retry_after_s == 7
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "play",
    [fails(503), fails(429, retry_after="0.05"), fails(502), Play(parts=[b"{"], is_cut=True), fails(408)],
    ids=["503", "429", "502", "cut", "408"],
)
def test_what_may_pass_is_tried_again(server: EmbeddingsServer, connect: Connect, play: Play) -> None:
    engine = connect()
    server.play(play, play, GOOD)
    (vector,) = engine.embed(HELLO)
    assert np.isclose(np.linalg.norm(vector.values), 1)
    assert len(server.requests) == 3


def test_a_text_that_is_refused_fails_alone(server: EmbeddingsServer, connect: Connect) -> None:
    def answer(request: EmbeddingsRequest) -> Play:
        return fails(400, "a text is not allowed") if "bad" in request.texts else by_letters(request)

    engine = connect()
    server.compute = answer
    texts = [Text(f"text {n}") for n in range(20)]
    texts[13] = Text("bad")
    with pytest.raises(SomeFailed) as failed:
        engine.embed(texts)
    kinds = [type(result) for result in failed.value.results]
    assert kinds == [Vector] * 13 + [InvalidArgument] + [Vector] * 6


def test_a_text_that_is_too_long_for_the_server_is_cut_and_that_is_told(
    server: EmbeddingsServer, connect: Connect
) -> None:
    def answer(request: EmbeddingsRequest) -> Play:
        longest = max(map(len, request.texts))
        return by_letters(request) if longest <= 600 else fails(400, f"{longest} tokens exceed the limit of 600")

    engine = connect()
    server.compute = answer
    short, long = engine.embed([Text("short"), Text("x" * 5000)])
    assert (short.truncated, long.truncated) == (False, True)
    assert len(server.requests[-1].texts[0]) == 570


@pytest.mark.parametrize("words", ["too long", "exceeds the context length"])
def test_a_server_that_calls_everything_too_long_is_given_up(
    server: EmbeddingsServer, connect: Connect, words: str
) -> None:
    engine = connect()
    server.play(fails(400, words))
    assert isinstance(failure_of(engine), InvalidArgument)
    assert len(server.requests) < 15


def test_many_texts_go_in_parts_and_come_back_in_order(server: EmbeddingsServer, connect: Connect) -> None:
    engine = connect(max_texts=8, max_concurrent_requests=3)

    def slowly(request: EmbeddingsRequest) -> Play:
        return Play(by_letters(request).body, pause_s=0.05)

    server.compute = slowly
    server.play()
    texts = [f"{n} text" for n in range(70)]
    found = engine.embed([Text(text) for text in texts])
    expected = np.array(vectors_of(texts))
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.allclose([vector.values for vector in found], expected)
    assert [len(request.texts) for request in server.requests].count(8) == 8
    assert server.most_at_once == 3


def test_a_server_that_hangs_is_given_up(server: EmbeddingsServer, connect: Connect) -> None:
    engine = connect(request_timeout_s=0.3)
    server.play(Play(pause_s=60))
    assert "REQUEST_TIMEOUT_S" in str(failure_of(engine))


def test_the_key_is_sent_and_never_shown(
    server: EmbeddingsServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    engine = connect(api_key=f"{KEY}\n")
    server.play(fails(400, f"the key {KEY} may not embed this"))
    error = failure_of(engine)
    assert server.requests[-1].key == f"Bearer {KEY}"
    assert KEY not in str(error)
    assert KEY not in caplog.text


def test_nothing_that_was_sent_is_logged(
    server: EmbeddingsServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    engine = connect()
    server.play(fails(503, "cannot embed a-private-word"))
    failure_of(engine, [Text("a-private-word")])
    assert "asking the server again" in caplog.text
    assert "a-private-word" not in caplog.text


def test_a_step_that_nobody_waits_for_ends_its_requests(server: EmbeddingsServer, connect: Connect) -> None:
    engine = connect()
    server.play(Play(pause_s=60))
    raised: list[Exception] = []

    def embed() -> None:
        try:
            engine.embed(HELLO)
        except Unavailable as error:
            raised.append(error)

    thread = threading.Thread(target=embed)
    thread.start()
    while not server.requests:
        threading.Event().wait(0.01)
    engine.interrupt(HELLO)
    thread.join(5)
    assert len(raised) == 1


async def test_a_client_that_vanishes_ends_its_request_and_the_others_go_on(server: EmbeddingsServer) -> None:
    settings = EmbedSettings(engine="openai_embeddings")
    engine = OpenAiEmbeddingsEngine(EngineContext(), OpenAiEmbeddingsSettings(base_url=server.url))
    config = embed_pb2.StreamingEmbedRequest(config=embed_pb2.EmbeddingConfig())

    def batch(text: str) -> embed_pb2.StreamingEmbedRequest:
        return embed_pb2.StreamingEmbedRequest(batch=embed_pb2.TextBatch(batch_id=1, texts=[text]))

    def answer(request: EmbeddingsRequest) -> Play:
        return Play(by_letters(request).body, pause_s=60 * ("slow" in request.texts))

    server.compute = answer
    async with serving(EmbedService(hosting("embed", engine, settings), settings), settings) as (channel, _):
        method: Any = embed_pb2_grpc.EmbeddingServiceStub(channel).StreamingEmbed
        async with exchange(method, config, batch("slow")) as slow:
            await slow.until("ready")
            await wait_until(lambda: any("slow" in request.texts for request in server.requests))
            async with exchange(method, config, batch("quick")) as quick:
                assert len((await quick.until("batch")).embeddings) == 1
        await wait_until(lambda: server.hang_ups == 1)


async def test_a_refused_text_reaches_its_caller_by_name(server: EmbeddingsServer) -> None:
    settings = EmbedSettings(engine="openai_embeddings")
    engine = OpenAiEmbeddingsEngine(EngineContext(), OpenAiEmbeddingsSettings(base_url=server.url))
    config = embed_pb2.StreamingEmbedRequest(config=embed_pb2.EmbeddingConfig())
    batch = embed_pb2.StreamingEmbedRequest(batch=embed_pb2.TextBatch(batch_id=1, texts=["x"]))
    async with serving(EmbedService(hosting("embed", engine, settings), settings), settings) as (channel, _):
        server.play(fails(400, "not this text"))
        method: Any = embed_pb2_grpc.EmbeddingServiceStub(channel).StreamingEmbed
        async with exchange(method, config, batch) as stream:
            error = await stream.failure()
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "not this text" in str(error.details())


def test_requests_hold_what_the_operator_adds(server: EmbeddingsServer, connect: Connect) -> None:
    engine = connect(extra_fields={"truncate_prompt_tokens": -1})
    engine.embed(HELLO)
    fields = server.requests[-1].fields
    assert fields == {
        "truncate_prompt_tokens": -1,
        "model": "letters",
        "input": ["hello"],
        "encoding_format": "base64",
    }
    assert json.dumps(fields)
