"""What the engine finds out at start, whom it waits for, and what keeps it from starting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from voxmesh_embed.engine import Text
from voxmesh_embed_openai_embeddings.engine import OpenAiEmbeddingsEngine
from voxmesh_embed_openai_embeddings.settings import OpenAiEmbeddingsSettings
from voxmesh_embed_openai_embeddings.testing import (
    EmbeddingsRequest,
    EmbeddingsServer,
    answered,
    by_letters,
    embeddings_server,
    vectors_of,
)
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import FailedPrecondition, Unavailable
from voxmesh_runtime.ports import free_block
from voxmesh_testing.http import Play, fails

pytestmark = pytest.mark.engine

Connect = Callable[..., OpenAiEmbeddingsEngine]


def cut(request: EmbeddingsRequest) -> Play:
    """Vectors as short as they are asked for."""
    dimensions = request.fields.get("dimensions", 8)
    return answered([vector[:dimensions] for vector in vectors_of(request.texts)], request)


def refused(request: EmbeddingsRequest) -> Play:
    """Shorter vectors are refused."""
    return fails(400, "not matryoshka") if "dimensions" in request.fields else by_letters(request)


def other(request: EmbeddingsRequest) -> Play:
    """Shorter vectors are others."""
    dimensions = request.fields.get("dimensions", 8)
    return answered([list(reversed(vector))[:dimensions] for vector in vectors_of(request.texts, 8)], request)


@pytest.mark.parametrize(
    ("answer", "setting", "shorter"),
    [
        (cut, "auto", True),
        (by_letters, "auto", False),
        (refused, "auto", False),
        (by_letters, "yes", True),
        (cut, "no", False),
    ],
)
def test_shorter_vectors_are_tried_once(
    server: EmbeddingsServer, connect: Connect, answer: Any, setting: str, *, shorter: bool
) -> None:
    server.compute = answer
    assert connect(shorter_dimensions=setting).info.shorter_dimensions == shorter


@pytest.mark.parametrize(("settings", "warned"), [({}, 1), ({"max_texts": 1}, 0)])
def test_a_server_whose_vectors_depend_on_their_neighbours_is_told_of(
    server: EmbeddingsServer,
    connect: Connect,
    caplog: pytest.LogCaptureFixture,
    settings: dict[str, Any],
    warned: int,
) -> None:
    def answer(request: EmbeddingsRequest) -> Play:
        mixed = [list(reversed(vector)) for vector in vectors_of(request.texts)]
        return answered(mixed, request) if len(request.texts) > 1 else by_letters(request)

    server.compute = answer
    connect(**settings)
    assert caplog.text.count("depend on their neighbours") == warned


def test_a_server_without_base64_is_asked_for_floats(server: EmbeddingsServer, connect: Connect) -> None:
    def answer(request: EmbeddingsRequest) -> Play:
        is_float = request.fields["encoding_format"] == "float"
        return by_letters(request) if is_float else fails(400, "encoding_format must be float")

    server.compute = answer
    assert connect().info.dimensions == 8
    assert server.requests[-1].fields["encoding_format"] == "float"


@pytest.mark.parametrize(
    ("models", "wanted", "model", "max_tokens"),
    [
        ([{"id": "one"}], None, "one", 8192),
        ([{"id": "one", "max_model_len": 512}], None, "one", 512),
        ([{"id": "one"}, {"id": "two", "max_model_len": 40}], "two", "two", 40),
        ([{"id": "one"}], "other", "other", 8192),
    ],
)
def test_the_model_is_the_operators_or_the_only_one(
    server: EmbeddingsServer, connect: Connect, models: Any, wanted: str | None, *, model: str, max_tokens: int
) -> None:
    server.models = models
    info = connect(wanted).info
    assert (info.facts.model, info.max_tokens) == (model, max_tokens)


@pytest.mark.parametrize(
    ("models", "play", "problem"),
    [
        ([{"id": "one"}, {"id": "two"}], None, "one, two.*--model"),
        ([], None, "none.*--model"),
        ([{"id": "one"}], fails(401), "API_KEY"),
        ([{"id": "one"}], fails(404), "BASE_URL"),
        ([{"id": "one"}], fails(400, "no pooling"), "no pooling.*EXTRA_FIELDS"),
    ],
)
def test_a_server_that_cannot_embed_keeps_the_service_from_starting(
    server: EmbeddingsServer, connect: Connect, models: Any, play: Play | None, problem: str
) -> None:
    server.models = models
    if play is not None:
        server.play(play)
    with pytest.raises(FailedPrecondition, match=problem):
        connect()


def test_a_server_that_is_away_is_told_without_its_password(connect: Connect) -> None:
    with pytest.raises(Unavailable, match="cannot be reached") as failure:
        connect(base_url=f"http://user:hidden@127.0.0.1:{free_block(1)}/v1")
    assert "hidden" not in str(failure.value)


def test_a_server_that_comes_late_is_waited_for(connect: Connect) -> None:
    port, done = free_block(1), threading.Event()

    def late() -> None:
        time.sleep(0.3)
        with embeddings_server(port=port):
            done.wait(20)

    thread = threading.Thread(target=late)
    thread.start()
    try:
        engine = connect(base_url=f"http://127.0.0.1:{port}/v1", start_timeout_s=15)
        assert engine.info.dimensions == 8
        engine.close()
    finally:
        done.set()
        thread.join()


def test_a_connection_that_was_closed_is_opened_again(connect: Connect) -> None:
    engine = connect()
    engine.close()
    with pytest.raises(RuntimeError):
        engine.embed([Text("hello")])
    engine.load()
    assert len(engine.embed([Text("hello")])) == 1


@pytest.mark.parametrize("url", ["", "nonsense", "ftp://host/v1", "http://host:99999/v1"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(FailedPrecondition, match="VOXMESH_OPENAI_EMBEDDINGS_BASE_URL"):
        OpenAiEmbeddingsEngine(EngineContext(), OpenAiEmbeddingsSettings(base_url=url))


@pytest.mark.parametrize("changes", [{"query_template": "query: "}, {"extra_fields": {"input": "x"}}])
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OpenAiEmbeddingsSettings(**changes)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that does not exist: this machine is asked without it."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
