"""At start the engine shows the server a picture and finds out what it can, or says what the operator should do."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import FailedPrecondition, Unavailable
from voxmesh_runtime.ports import free_block
from voxmesh_testing.http import Play, fails
from voxmesh_vlm_openai_vision import create
from voxmesh_vlm_openai_vision.engine import OpenAiVisionEngine
from voxmesh_vlm_openai_vision.probe import Abilities
from voxmesh_vlm_openai_vision.server import Way
from voxmesh_vlm_openai_vision.settings import OpenAiVisionSettings
from voxmesh_vlm_openai_vision.testing import ChatRequest, ChatServer, chat_server, echoes, writes
from voxmesh_vlm_openai_vision.testing_llama import llama_server

pytestmark = pytest.mark.unit

Connect = Callable[..., OpenAiVisionEngine]
DATA = Path(__file__).parent / "data"
IN_THOUSANDTHS, IN_PIXELS = [88, 290, 565, 600], [42, 37, 271, 77]


def test_without_an_address_it_is_said_which_setting_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VOXMESH_OPENAI_VISION_BASE_URL", raising=False)
    with pytest.raises(FailedPrecondition, match="set VOXMESH_OPENAI_VISION_BASE_URL"):
        create(EngineContext())


def test_settings_come_from_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXMESH_OPENAI_VISION_BASE_URL", "http://user:pass@host:8000/v1?x=y")
    monkeypatch.setenv("VOXMESH_OPENAI_VISION_EXTRA_FIELDS", '{"temperature": 0.7, "mm_processor_kwargs": {"a": 1}}')
    monkeypatch.setenv("VOXMESH_OPENAI_VISION_API_KEY", "")
    settings = OpenAiVisionSettings()
    assert settings.extra_fields == {"temperature": 0.7, "mm_processor_kwargs": {"a": 1}}
    assert settings.api_key is None
    assert settings.shown_url == "http://host:8000/v1"


def test_fields_that_the_engine_decides_on_are_refused() -> None:
    with pytest.raises(ValueError, match="the engine itself decides on max_tokens, messages"):
        OpenAiVisionSettings(extra_fields={"max_tokens": 2, "messages": []})


def test_the_one_model_of_the_server_is_taken_and_sees_a_picture(server: ChatServer, connect: Connect) -> None:
    assert connect().info.facts.model == "eyes-1"
    assert [len(request.pictures) for request in server.requests] == [1, 1]


def test_several_models_are_listed_to_choose_from(server: ChatServer, connect: Connect) -> None:
    server.models = ["a", "b"]
    with pytest.raises(FailedPrecondition, match="lists a, b; choose one with --model"):
        connect()
    assert connect(model="b").info.facts.model == "b"


def _plain(request: ChatRequest) -> Play:
    """A server that knows none of what came later."""
    extra = {"chat_template_kwargs", "response_format"} & set(request.fields)
    return fails(400, f"extra fields not permitted: {extra}") if extra else writes("hello")


def _without_schemas(request: ChatRequest) -> Play:
    return fails(422, "no response_format") if "response_format" in request.fields else writes("hello")


def _telling(box: list[int]) -> Callable[[ChatRequest], Play]:
    def tell(_: ChatRequest) -> Play:
        return writes(json.dumps([{"bbox_2d": box, "text_content": "Hello world"}]))

    return tell


SERVERS = {
    # What was learned: schemas, template fields, the scale of places.
    "all": (_telling(IN_THOUSANDTHS), True, True, (1000, 1000)),
    "places in pixels": (_telling(IN_PIXELS), True, True, (480, 128)),
    "places at random": (_telling([500, 0, 900, 10]), True, True, None),
    "no places": (echoes, True, True, None),
    "plain": (_plain, False, False, None),
    "without schemas": (_without_schemas, False, True, None),
}


@pytest.mark.parametrize("name", SERVERS)
def test_what_the_server_can_is_learned_once(server: ChatServer, connect: Connect, name: str) -> None:
    server.compute, json_schema, template_fields, scale = SERVERS[name]
    assert connect().abilities == Abilities("eyes-1", Way(json_schema, template_fields), scale)


def test_the_operators_word_goes_first(server: ChatServer, connect: Connect) -> None:
    server.compute = _telling(IN_THOUSANDTHS)
    abilities = connect(layout="none", json_schema=False, thinking=True).abilities
    assert abilities == Abilities("eyes-1", Way(json_schema=False, template_fields=False), None)
    assert connect(layout="pixels").abilities.scale_of(640, 400) == (640, 400)
    assert connect().abilities.scale_of(640, 400) == (1000, 1000)


@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [
        (fails(401, "Incorrect API key provided: sk-secret"), FailedPrecondition, "set VOXMESH_OPENAI_VISION_API_KEY"),
        (fails(404, "no such model"), FailedPrecondition, r"no model 'eyes-1'.*no such model.*check --model"),
        (Play(b"<html>", content_type="text/html"), Unavailable, "text/html that is no answer.*check .*BASE_URL"),
        (fails(503), Unavailable, "HTTP 503"),
        (fails(400, "sk-secret is spent"), FailedPrecondition, r"\*\*\* is spent"),
    ],
)
def test_a_server_that_gives_no_answer_is_told(
    server: ChatServer, connect: Connect, answer: Play, error: type[Exception], told: str
) -> None:
    server.play(answer)
    with pytest.raises(error, match=told) as failure:
        connect(api_key="sk-secret\n")
    assert "sk-secret" not in str(failure.value)
    assert server.requests[0].key == "Bearer sk-secret"


def test_a_llama_server_whose_model_has_no_eyes_is_told(connect: Connect) -> None:
    with (
        llama_server(DATA, has_eyes=False) as url,
        pytest.raises(FailedPrecondition, match=r"sees no pictures.*needs --mmproj"),
    ):
        connect(base_url=url)


def test_a_server_that_is_away_is_told_without_its_password(connect: Connect) -> None:
    with pytest.raises(
        Unavailable, match=r"http://127\.0\.0\.1:\d+/v1 cannot be reached \(ConnectionRefusedError\); start"
    ) as failure:
        connect(base_url=f"http://user:hidden@127.0.0.1:{free_block(1)}/v1")
    assert "hidden" not in str(failure.value)


def test_a_server_that_comes_late_is_waited_for(connect: Connect) -> None:
    port, done = free_block(1), threading.Event()

    def late() -> None:
        time.sleep(0.4)
        with chat_server(port=port):
            done.wait(20)

    thread = threading.Thread(target=late)
    thread.start()
    try:
        engine = connect(base_url=f"http://127.0.0.1:{port}/v1", start_timeout_s=15)
        assert engine.info.facts.model == "eyes-1"
        engine.close()
    finally:
        done.set()
        thread.join()


def test_a_server_that_hangs_is_left(server: ChatServer, connect: Connect) -> None:
    server.play(Play(pause_s=60))
    with pytest.raises(Unavailable, match="does not answer"):
        connect(first_token_timeout_s=0.3)


def test_it_connects_again_after_a_close(server: ChatServer, connect: Connect) -> None:
    engine = connect()
    engine.close()
    engine.load()
    assert engine.abilities.model == "eyes-1"
    assert len(server.requests) == 4
