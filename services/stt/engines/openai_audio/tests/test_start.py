"""At start the engine finds out what the server has and can, or says what the operator should do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import FailedPrecondition, Unavailable
from voxmesh_runtime.ports import free_block
from voxmesh_stt_openai_audio import create
from voxmesh_stt_openai_audio.engine import OpenAiAudioEngine
from voxmesh_stt_openai_audio.settings import OpenAiAudioSettings
from voxmesh_stt_openai_audio.testing import Play, TranscriptionServer, fails, says, streams, transcription_server

pytestmark = pytest.mark.unit

Connect = Callable[..., OpenAiAudioEngine]

VERBOSE = {"language": "english", "words": [{"word": "he", "start": 0, "end": 0.4}]}
DONE = {"type": "transcript.text.done", "text": "he was"}


def test_without_an_address_it_is_said_which_setting_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VOXMESH_OPENAI_AUDIO_BASE_URL", raising=False)
    with pytest.raises(FailedPrecondition, match="set VOXMESH_OPENAI_AUDIO_BASE_URL"):
        create(EngineContext())


def test_settings_come_from_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXMESH_OPENAI_AUDIO_BASE_URL", "http://user:pass@host:8000/v1?x=y")
    monkeypatch.setenv("VOXMESH_OPENAI_AUDIO_LANGUAGE_CODES", '["en", "kn"]')
    monkeypatch.setenv("VOXMESH_OPENAI_AUDIO_EXTRA_FIELDS", '{"hotwords": "Claude", "vad_filter": true, "seed": 3}')
    monkeypatch.setenv("VOXMESH_OPENAI_AUDIO_API_KEY", "")
    settings = OpenAiAudioSettings()
    assert settings.language_codes == ("en", "kn")
    assert settings.extra_fields == {"hotwords": "Claude", "vad_filter": True, "seed": 3}
    assert settings.api_key is None
    assert settings.shown_url == "http://host:8000/v1"


def test_c16_languages_of_the_server_are_written_as_people_do() -> None:
    assert OpenAiAudioSettings(language_codes=("en_US", "iw")).language_codes == ("en-US", "he")
    with pytest.raises(ValueError, match="'hindi' is no language tag"):
        OpenAiAudioSettings(language_codes=("hindi",))


def test_c8_a_server_on_loopback_is_not_asked_through_a_proxy(
    server: TranscriptionServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        # Nothing listens there.
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert connect().info.facts.model == "whisper-1"
    assert server.uploads


def test_fields_that_the_engine_decides_on_are_refused() -> None:
    with pytest.raises(ValueError, match="the engine itself decides on model, stream"):
        OpenAiAudioSettings(extra_fields={"stream": True, "model": "x"})


@pytest.mark.parametrize("url", ["host:8000", "ftp://host/v1", "http://", "http://host:port/v1"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(FailedPrecondition, match="is no address"):
        OpenAiAudioEngine(EngineContext(), OpenAiAudioSettings(base_url=url))


def test_the_one_model_of_the_server_is_taken(server: TranscriptionServer, connect: Connect) -> None:
    assert connect().info.facts.model == "whisper-1"
    assert {upload.fields["model"] for upload in server.uploads} == {"whisper-1"}


def test_several_models_are_listed_to_choose_from(server: TranscriptionServer, connect: Connect) -> None:
    server.models = ["kokoro", "whisper-1"]
    with pytest.raises(FailedPrecondition, match="lists kokoro, whisper-1; choose one with --model"):
        connect()
    assert connect(model="whisper-1").info.facts.model == "whisper-1"


def test_a_server_without_a_list_is_given_a_name(server: TranscriptionServer, connect: Connect) -> None:
    server.models = None
    with pytest.raises(FailedPrecondition, match="lists no models; choose one with --model"):
        connect()
    assert connect(model="ggml-base.en").info.facts.model == "ggml-base.en"


def test_a_model_that_the_server_has_not_is_told(server: TranscriptionServer, connect: Connect) -> None:
    server.play(fails(404, "The model `big` does not exist."))
    with pytest.raises(FailedPrecondition, match=r"no model 'big'.*check --model"):
        connect(model="big")


def test_a_refused_key_is_told_without_the_key(server: TranscriptionServer, connect: Connect) -> None:
    server.play(fails(401, "Incorrect API key provided: sk-secret"))
    with pytest.raises(FailedPrecondition, match="set VOXMESH_OPENAI_AUDIO_API_KEY") as refusal:
        connect(api_key="sk-secret")
    assert "sk-secret" not in str(refusal.value)
    assert server.uploads[0].key == "Bearer sk-secret"


@pytest.mark.parametrize(
    "answer",
    [
        Play(b"<html>Welcome</html>", content_type="text/html"),
        Play(b'{"results": []}'),
        Play(b"[" * 100_000),
        Play(b'{"text": 7}'),
    ],
    ids=["a page", "another JSON", "deep JSON", "no string"],
)
def test_what_is_no_transcription_is_told(server: TranscriptionServer, connect: Connect, answer: Play) -> None:
    server.play(answer)
    with pytest.raises(Unavailable, match="check VOXMESH_OPENAI_AUDIO_BASE_URL, which mostly ends in /v1"):
        connect()


def test_another_path_is_told(server: TranscriptionServer, connect: Connect) -> None:
    with pytest.raises(FailedPrecondition, match=r"no transcriptions at this address"):
        connect(base_url=server.url.removesuffix("/v1"), model="whisper-1")


def test_a_server_that_is_away_is_told_without_its_password(connect: Connect) -> None:
    with pytest.raises(
        Unavailable, match=r"http://127\.0\.0\.1:\d+/v1 cannot be reached \(ConnectionRefusedError\); start"
    ) as failure:
        connect(base_url=f"http://user:hidden@127.0.0.1:{free_block(1)}/v1")
    assert "hidden" not in str(failure.value)


def test_a_server_that_loads_is_waited_for(server: TranscriptionServer, connect: Connect) -> None:
    server.play(fails(503, "loading"), fails(503, "loading"), says("He was."))
    assert connect(start_timeout_s=10).info.facts.model == "whisper-1"
    assert len(server.uploads) > 2


def test_a_server_that_hangs_is_told(server: TranscriptionServer, connect: Connect) -> None:
    server.play(Play(pause_s=600))
    with pytest.raises(Unavailable, match="does not answer"):
        connect(timeout_s=0.3)


def test_word_times_and_language_are_found(server: TranscriptionServer, connect: Connect) -> None:
    server.play(says("He was.", **VERBOSE), streams(DONE))
    assert connect().info.word_time_offsets


@pytest.mark.parametrize(
    "answer",
    [
        fails(400, "Currently do not support verbose_json for Qwen/Qwen3-ASR"),
        fails(500, "NotImplementedError"),
        says("He was.", language="en", words=None, segments=[{"text": "He was."}]),
        says("He was.", language="en", words=[]),
        says("He was."),
    ],
    ids=["refused", "failed", "segments alone", "no words", "ignored"],
)
def test_a_server_without_word_times_is_no_worse(server: TranscriptionServer, connect: Connect, answer: Play) -> None:
    server.play(answer, says("He was."))
    assert not connect().info.word_time_offsets


def test_optional_wishes_can_be_switched_off(server: TranscriptionServer, connect: Connect) -> None:
    connect(verbose_json=False, streaming=False)
    (upload,) = server.uploads
    assert upload.fields == {"model": "whisper-1", "temperature": "0", "response_format": "json"}
    assert upload.wav[:4] == b"RIFF"


def test_extra_fields_are_sent(server: TranscriptionServer, connect: Connect) -> None:
    connect(extra_fields={"temperature": 0.2, "vad_filter": True})
    assert all((u.fields["temperature"], u.fields["vad_filter"]) == ("0.2", "true") for u in server.uploads)


def test_warming_up_transcribes_once(server: TranscriptionServer, connect: Connect) -> None:
    engine = connect()
    server.play(says(""))
    engine.warm_up()
    assert len(server.uploads) == 1


def test_closing_ends_the_thread(connect: Connect) -> None:
    engine = connect()
    engine.load()
    engine.close()
    engine.close()
    assert "openai-audio" not in [thread.name for thread in threading.enumerate()]


def test_a_failed_start_leaves_no_thread(connect: Connect) -> None:
    with pytest.raises(Unavailable):
        connect(base_url=f"http://127.0.0.1:{free_block(1)}/v1")
    assert "openai-audio" not in [thread.name for thread in threading.enumerate()]


def test_the_server_may_come_up_after_the_engine(connect: Connect) -> None:
    port = free_block(1)
    failures: list[Exception] = []

    def start() -> None:
        try:
            connect(base_url=f"http://127.0.0.1:{port}/v1", start_timeout_s=20)
        except Unavailable as error:
            failures.append(error)

    starting = threading.Thread(target=start)
    starting.start()
    time.sleep(0.4)
    with transcription_server(port=port):
        starting.join(timeout=20)
        assert not starting.is_alive()
    assert failures == []
