"""At start the engine finds out what the server has and can, or says what the operator should do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import FailedPrecondition, Unavailable
from voxmesh_runtime.outcomes import Kind
from voxmesh_runtime.ports import free_block
from voxmesh_testing.http import Play, fails
from voxmesh_tts.engine import SynthesisOptions
from voxmesh_tts_openai_speech import create
from voxmesh_tts_openai_speech.engine import OpenAiSpeechEngine
from voxmesh_tts_openai_speech.settings import OpenAiSpeechSettings
from voxmesh_tts_openai_speech.testing import (
    SpeechRequest,
    SpeechServer,
    pcm,
    sounds,
    speech_server,
    streamed,
    tone,
    wav_head,
)

pytestmark = pytest.mark.unit

Connect = Callable[..., OpenAiSpeechEngine]


def test_without_an_address_it_is_said_which_setting_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VOXMESH_OPENAI_SPEECH_BASE_URL", raising=False)
    with pytest.raises(FailedPrecondition, match="set VOXMESH_OPENAI_SPEECH_BASE_URL"):
        create(EngineContext())


def test_settings_come_from_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXMESH_OPENAI_SPEECH_BASE_URL", "http://user:pass@host:8000/v1?x=y")
    monkeypatch.setenv("VOXMESH_OPENAI_SPEECH_VOICES", '["af_heart", "am_adam"]')
    monkeypatch.setenv("VOXMESH_OPENAI_SPEECH_VOICE_LANGUAGE_CODES", '{"af_heart": ["en-US"]}')
    monkeypatch.setenv("VOXMESH_OPENAI_SPEECH_EXTRA_FIELDS", '{"language": "English", "stream": true}')
    monkeypatch.setenv("VOXMESH_OPENAI_SPEECH_API_KEY", "")
    settings = OpenAiSpeechSettings()
    assert settings.voices == ("af_heart", "am_adam")
    assert settings.voice_language_codes == {"af_heart": ("en-US",)}
    assert settings.extra_fields == {"language": "English", "stream": True}
    assert settings.api_key is None
    assert settings.shown_url == "http://host:8000/v1"


def test_fields_that_the_engine_decides_on_are_refused() -> None:
    with pytest.raises(ValueError, match="the engine itself decides on input, speed"):
        OpenAiSpeechSettings(extra_fields={"speed": 2, "input": "x"})


@pytest.mark.parametrize("url", ["host:8000", "ftp://host/v1", "http://", "http://host:port/v1"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(FailedPrecondition, match="is no address"):
        OpenAiSpeechEngine(EngineContext(), OpenAiSpeechSettings(base_url=url))


def test_the_one_model_of_the_server_is_taken(server: SpeechServer, connect: Connect) -> None:
    assert connect().info.facts.model == "tts-1"
    assert {request.fields["model"] for request in server.requests} == {"tts-1"}


def test_several_models_are_listed_to_choose_from(server: SpeechServer, connect: Connect) -> None:
    server.models = ["kokoro", "tts-1"]
    with pytest.raises(FailedPrecondition, match="lists kokoro, tts-1; choose one with --model"):
        connect()
    assert connect(model="kokoro").info.facts.model == "kokoro"


def _plain(request: SpeechRequest) -> Play:
    """A server that knows none of what came later."""
    extra = {"stream_format", "speed"} & set(request.fields)
    return fails(422, f"extra fields not permitted: {extra}") if extra else sounds(request)


def _unstreamed_speed(request: SpeechRequest) -> Play:
    """As vLLM-Omni does."""
    if {"stream_format", "speed"} <= set(request.fields):
        return fails(400, "speed must be 1.0 when streaming")
    return sounds(request)


def _deaf(_: SpeechRequest) -> Play:
    return streamed(pcm(tone(1.0)))


def _wav_only(request: SpeechRequest) -> Play:
    return sounds(request) if request.fields["response_format"] == "wav" else fails(400, "only wav")


def _wav_always(request: SpeechRequest) -> Play:
    data = wav_head(0, hertz=16000) + pcm(tone(1.0 / request.fields.get("speed", 1.0), hertz=16000))
    return Play(data, content_type="audio/wav")


def _breaks_on_pcm(request: SpeechRequest) -> Play:
    return fails(500) if request.fields["response_format"] == "pcm" else sounds(request)


SERVERS = {
    # What is sent for a stream with a rate: format, stream_format, speed; then the outcome and the rate in hertz.
    "all": (sounds, "pcm", "audio", 1.5, Kind.APPLIED, 24000),
    "plain": (_plain, "pcm", None, None, Kind.IGNORED, 24000),
    "unstreamed speed": (_unstreamed_speed, "pcm", None, 1.5, Kind.APPLIED, 24000),
    "deaf to speed": (_deaf, "pcm", "audio", None, Kind.IGNORED, 24000),
    "wav alone": (_wav_only, "wav", "audio", 1.5, Kind.APPLIED, 24000),
    "wav whatever is asked": (_wav_always, "pcm", "audio", 1.5, Kind.APPLIED, 16000),
    "500 for pcm": (_breaks_on_pcm, "wav", "audio", 1.5, Kind.APPLIED, 24000),
}


@pytest.mark.parametrize("name", SERVERS)
def test_what_the_server_can_is_learned_once(server: SpeechServer, connect: Connect, name: str) -> None:
    compute, response_format, stream_format, speed, kind, hertz = SERVERS[name]
    server.compute = compute
    engine = connect()
    assert engine.info.sample_rate_hertz == hertz
    session = engine.open(SynthesisOptions("alloy", "en", speaking_rate=1.5))
    assert [outcome.kind for outcome in session.outcomes] == [kind]
    server.requests.clear()
    assert sum(map(len, session.synthesize("Hello."))) == pytest.approx(hertz / (speed or 1.0), abs=2)
    (request,) = server.requests
    fields = request.fields
    sent = (fields["response_format"], fields.get("stream_format"), fields.get("speed"))
    assert sent == (response_format, stream_format, speed)


def test_instructions_are_sent_where_the_operator_says_that_they_are_followed(
    server: SpeechServer, connect: Connect
) -> None:
    assert not connect().info.instruction
    engine = connect(instructions=True, extra_fields={"language": "English"})
    assert engine.info.instruction
    session = engine.open(SynthesisOptions("alloy", "en", instruction="calmly"))
    assert [outcome.field for outcome in session.outcomes] == ["config.instruction"]
    assert sum(map(len, session.synthesize("Hello."))) == 24000
    fields = server.requests[-1].fields
    assert (fields["instructions"], fields["language"], fields["input"]) == ("calmly", "English", "Hello.")


def test_the_servers_voices_are_offered(server: SpeechServer, connect: Connect) -> None:
    server.voices = {"voices": [{"id": "af_heart"}, {"id": "hf_alpha", "language": "hi"}]}
    voices = connect().info.voices
    assert [(voice.name, voice.language_codes) for voice in voices] == [("af_heart", ("en",)), ("hf_alpha", ("hi",))]
    assert server.requests[0].fields["voice"] == "af_heart"


@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [
        (fails(401, "Incorrect API key provided: sk-secret"), FailedPrecondition, "set VOXMESH_OPENAI_SPEECH_API_KEY"),
        (fails(403), FailedPrecondition, "set VOXMESH_OPENAI_SPEECH_API_KEY"),
        (fails(404, "no such model"), FailedPrecondition, r"no model 'tts-1'.*no such model.*check --model"),
        (fails(400, "Voice 'alloy' not found"), FailedPrecondition, "check VOXMESH_OPENAI_SPEECH_VOICES"),
        (Play(b"<html>", content_type="text/html"), Unavailable, "text/html that is no audio; check .*BASE_URL"),
        (
            Play(b'{"detail": "sk-secret is spent"}'),
            Unavailable,
            r"application/json that is no audio \(\*\*\* is spent",
        ),
        (Play(b"<html>hello</html>", content_type="audio/pcm"), Unavailable, "a page or JSON"),
        (Play(content_type="audio/pcm"), Unavailable, "gave no audio"),
        (fails(503), Unavailable, "HTTP 503"),
        (fails(301, location="http://elsewhere/"), FailedPrecondition, "HTTP 301"),
    ],
)
def test_a_server_that_gives_no_speech_is_told(
    server: SpeechServer, connect: Connect, answer: Play, error: type[Exception], told: str
) -> None:
    server.play(answer)
    with pytest.raises(error, match=told) as failure:
        connect(api_key="sk-secret\n")
    assert "sk-secret" not in str(failure.value)
    assert server.requests[0].key == "Bearer sk-secret"


def test_another_path_is_told(server: SpeechServer, connect: Connect) -> None:
    with pytest.raises(FailedPrecondition, match="no speech at this address"):
        connect(base_url=server.url.removesuffix("/v1"), model="tts-1")


def test_a_server_that_is_away_is_told_without_its_password(connect: Connect) -> None:
    with pytest.raises(
        Unavailable, match=r"http://127\.0\.0\.1:\d+/v1 cannot be reached \(ConnectionRefusedError\); start"
    ) as failure:
        connect(base_url=f"http://user:hidden@127.0.0.1:{free_block(1)}/v1")
    assert "hidden" not in str(failure.value)


def test_a_server_that_comes_late_is_waited_for(connect: Connect) -> None:
    port = free_block(1)
    done = threading.Event()

    def late() -> None:
        time.sleep(0.4)
        with speech_server(port=port):
            done.wait(20)

    thread = threading.Thread(target=late)
    thread.start()
    try:
        engine = connect(base_url=f"http://127.0.0.1:{port}/v1", start_timeout_s=15)
        assert engine.info.facts.model == "tts-1"
        engine.close()
    finally:
        done.set()
        thread.join()


def test_a_server_that_hangs_is_left(server: SpeechServer, connect: Connect) -> None:
    server.play(Play(pause_s=60))
    with pytest.raises(Unavailable, match="does not answer"):
        connect(first_audio_timeout_s=0.3)


def test_no_proxy_comes_between_this_machine_and_itself(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_block(1)}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert connect().info.facts.model == "tts-1"
