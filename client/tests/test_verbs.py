"""Every verb of the command line against one real mesh, as a person would use it."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import soundfile
import soxr
from command_line import run
from PIL import Image, ImageDraw, ImageFont

from voxmesh_client.asking import spoken_config
from voxmesh_client.cli.app import main
from voxmesh_client.cli.demo import likeness
from voxmesh_client.cli.talk import talk_with
from voxmesh_client.settings import MeshSettings
from voxmesh_runtime.audio import AudioFile, read_audio_file, write_wav
from voxmesh_runtime.ports import free_block

pytestmark = pytest.mark.mesh

QUESTION = "What is the capital of France?"


@dataclass(frozen=True, slots=True)
class CommandLine:
    """Runs verbs against one mesh."""

    environment: dict[str, str]
    folder: Path

    def run(self, *arguments: str, code: int = 0, stdin: str = "") -> str:
        """Standard output of a verb that must end with `code`; never a traceback, errors on stderr alone."""
        done = self.raw(*arguments, stdin=stdin)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        assert bool(done.stderr) == bool(code)
        return done.stderr if code else done.stdout

    def json_lines(self, *arguments: str, stdin: str = "") -> list[dict[str, Any]]:
        """What a verb prints with --json."""
        return [json.loads(line) for line in self.run(*arguments, "--json", stdin=stdin).splitlines()]

    def raw(self, *arguments: str, stdin: str = "") -> CompletedProcess[str]:
        return run(main, *arguments, stdin=stdin, environment=self.environment, folder=self.folder)


@pytest.fixture(scope="module")
def mesh(shared_mesh: MeshSettings, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """Verbs that find the mesh; they give up soon, the services' own limits stay."""
    environment = {"VOXMESH_BASE_PORT": str(shared_mesh.base_port), "VOXMESH_CONNECT_TIMEOUT_S": "2"}
    return CommandLine(environment, tmp_path_factory.mktemp("verbs"))


@pytest.fixture(scope="module")
def question(mesh: CommandLine) -> str:
    """A wav file in which the question is asked."""
    mesh.run("speak", QUESTION, "--out", "question.wav")
    return "question.wav"


def test_status_shows_all_services(mesh: CommandLine) -> None:
    lines = mesh.json_lines("status")
    assert [line["service"] for line in lines] == ["coordinator", "turn", "stt", "tts", "llm", "vlm", "embed"]
    assert {line["health"] for line in lines} == {"serving"}
    assert all(line["model"] and line["host"] for line in lines[1:])
    table = mesh.run("status")
    assert all(line["target"] in table for line in lines)


def test_models_tells_models_languages_voices_and_engines(mesh: CommandLine) -> None:
    lines = {line["service"]: line for line in mesh.json_lines("models")}
    assert "moonshine" in lines["stt"]["installed_engines"]
    assert lines["stt"]["model_info"]["language_codes"] == ["en"]
    assert lines["tts"]["voices"][0]["name"]
    assert lines["llm"]["models"]
    text = mesh.run("models")
    assert lines["tts"]["voices"][0]["name"] in text
    assert lines["stt"]["model_info"]["model"] in text


def test_speech_that_was_spoken_is_transcribed(mesh: CommandLine, question: str) -> None:
    assert likeness(mesh.run("transcribe", question), QUESTION) > 0.9


def test_several_files_are_named(mesh: CommandLine, question: str) -> None:
    lines = mesh.run("transcribe", question, question).splitlines()
    assert len(lines) == 2
    assert all(line.startswith("question.wav: ") for line in lines)


def test_transcribe_gives_results_as_json(mesh: CommandLine, question: str) -> None:
    (line,) = mesh.json_lines("transcribe", question, "--language", "en")
    assert line["file"] == "question.wav"
    assert "options" not in line
    assert all(result["is_final"] for result in line["results"])
    assert likeness(" ".join(result["transcript"] for result in line["results"]), QUESTION) > 0.9


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        (("transcribe", "question.wav", "--phrase", "France"), {"config.biasing.phrases"}),
        (("transcribe", "question.wav", "--word-times"), {"config.word_time_offsets"}),
        (("speak", "hello", "--out", "hello.wav", "--instruction", "whisper"), {"config.instruction"}),
        (("embed", "a cat", "--query", "--instruction", "animals"), {"config.instruction"}),
    ],
    ids=" ".join,
)
def test_options_that_a_service_ignores_are_told(
    mesh: CommandLine, question: str, arguments: tuple[str, ...], fields: set[str]
) -> None:
    del question
    done = mesh.raw(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    (line,) = map(json.loads, done.stdout.splitlines())
    assert {option["field"] for option in line["options"]} == fields
    assert len(done.stderr.splitlines()) == len(fields)
    assert all(field in done.stderr for field in fields)


def test_c11_and_c12_sound_of_any_kind_is_transcribed(mesh: CommandLine, question: str) -> None:
    samples, rate = read_audio_file(mesh.folder / question)
    opposite = np.column_stack([samples, -samples])
    write_wav(mesh.folder / "high.wav", soxr.resample(samples, rate, 96000), 96000)
    soundfile.write(mesh.folder / "opposite.wav", opposite, rate)
    piped = bytearray((mesh.folder / question).read_bytes())
    place = piped.index(b"data")
    piped[4:8] = piped[place + 4 : place + 8] = bytes(4)
    (mesh.folder / "piped.wav").write_bytes(piped)
    lines = mesh.json_lines("transcribe", "high.wav", "opposite.wav", "piped.wav")
    for line in lines:
        assert likeness(" ".join(result["transcript"] for result in line["results"]), QUESTION) > 0.9, line["file"]


def test_speak_reads_standard_input_and_tells_the_length(mesh: CommandLine) -> None:
    (line,) = mesh.json_lines("speak", "-", "--out", "two.wav", stdin="One sentence.\nAnother sentence.\n")
    with AudioFile(mesh.folder / "two.wav") as file:
        assert line["seconds"] == pytest.approx(file.duration_s, abs=0.01)
        assert file.duration_s > 1
    assert "another sentence" in mesh.run("transcribe", "two.wav").lower()


def test_generate_streams_text(mesh: CommandLine) -> None:
    short = ("--max-tokens", "12", "--temperature", "0", "--system", "Count from one to one hundred.")
    lines = mesh.json_lines("generate", "-", *short, stdin="Please begin.")
    text = "".join(line["text_delta"]["text"] for line in lines if "text_delta" in line)
    assert len([line for line in lines if "text_delta" in line]) > 1
    assert lines[-1]["finished"]["reason"] == "REASON_LENGTH"
    done = mesh.raw("generate", "Please begin.", *short)
    assert done.stdout == f"{text}\n"
    assert "--max-tokens" in done.stderr


def test_embed_shows_what_is_alike(mesh: CommandLine) -> None:
    texts = ("a cat sleeps on the sofa", "a kitten naps on the couch", "the stock market fell")
    first, second, third = (line["values"] for line in mesh.json_lines("embed", *texts))
    cosine = [sum(x * y for x, y in zip(first, other, strict=True)) for other in (first, second, third)]
    assert cosine[0] == pytest.approx(1, abs=0.01)
    assert cosine[1] > cosine[2] + 0.2
    table = mesh.run("embed", *texts)
    assert f"{cosine[1]:.2f}" in table


def test_embed_takes_lines_and_dimensions(mesh: CommandLine) -> None:
    done = mesh.raw("embed", "-", "--dimensions", "64", "--json", stdin="one\ntwo\n")
    assert "approximates config.dimensions" in done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["text"] for line in lines] == ["one", "two"]
    assert all(len(line["values"]) == 64 for line in lines)


def test_read_finds_the_text_of_a_picture_and_where_it_is(mesh: CommandLine) -> None:
    picture = Image.new("RGB", (640, 160), "white")
    ImageDraw.Draw(picture).text((30, 50), "Total 42.50", fill="black", font=ImageFont.load_default(48))
    picture.save(mesh.folder / "receipt.png")
    assert "42.50" in mesh.run("read", "receipt.png")
    lines = mesh.json_lines("read", "receipt.png")
    corners = lines[0]["text_line"]["corners"]
    assert all(0 <= corner["x"] <= 640 and 0 <= corner["y"] <= 160 for corner in corners)
    assert f"{corners[0]['x']:.0f},{corners[0]['y']:.0f}" in mesh.run("read", "receipt.png", "--boxes")
    (mesh.folder / "schema.json").write_text('{"properties": {"total": {"type": "number"}}}')
    refused = mesh.run("read", "receipt.png", "--schema", "schema.json", code=1)
    assert "qwen_vl or openai_vision" in refused
    (mesh.folder / "list.json").write_text("[1")
    assert "list.json: is no JSON object" in mesh.run("read", "receipt.png", "--schema", "list.json", code=1)


def test_ask_prints_transcript_reply_and_waterfall_and_writes_the_reply(mesh: CommandLine, question: str) -> None:
    text = mesh.run("ask", question, "--out", "reply.wav")
    assert "you:   What is the capital of France?" in text
    assert "end-of-turn wait" in text
    assert all(hop in text for hop in ("stt/moonshine", "llm/", "tts/hibari"))
    reply = next(line.removeprefix("reply: ") for line in text.splitlines() if line.startswith("reply: "))
    assert likeness(mesh.run("transcribe", "reply.wav"), reply) > 0.7


def test_ask_gives_its_report_as_json(mesh: CommandLine, question: str) -> None:
    (line,) = mesh.json_lines("ask", question)
    (turn,) = line["turns"]
    assert likeness(turn["text"], QUESTION) > 0.9
    assert turn["reply"]
    assert turn["report"]["explained_share"] >= 0.95
    assert line["audio"] is None


def test_ask_says_when_nobody_speaks(mesh: CommandLine) -> None:
    write_wav(mesh.folder / "quiet.wav", np.zeros(16000, np.float32), 16000)
    assert "no speech was heard" in mesh.run("ask", "quiet.wav", code=1)


def test_chat_answers_every_line(mesh: CommandLine) -> None:
    turns = mesh.json_lines("chat", stdin=f"{QUESTION}\n\nAnd of Germany?\n")
    assert [turn["text"] for turn in turns] == [QUESTION, "And of Germany?"]
    assert all(turn["reply"] for turn in turns)
    assert mesh.run("chat", stdin="Say hello.\n").strip()


def has_audio_device() -> bool:
    try:
        import sounddevice  # noqa: PLC0415 # fails where PortAudio is missing
    except OSError:
        return False
    return bool(sounddevice.query_devices())


@pytest.mark.parametrize(("encoding", "lengths"), [("int8", (384, None)), ("binary", (None, 96))])
def test_embed_takes_vectors_in_fewer_bytes(
    mesh: CommandLine, encoding: str, lengths: tuple[int | None, int | None]
) -> None:
    texts = ("a cat sleeps on the sofa", "a kitten naps on the couch", "the stock market fell")
    lines = mesh.json_lines("embed", *texts, "--encoding", encoding)
    for line in lines:
        assert tuple(len(line[key]) if key in line else None for key in ("values", "bits")) == lengths
    assert "1.00" in mesh.run("embed", *texts, "--encoding", encoding)


def test_rerank_says_which_engines_rank(mesh: CommandLine) -> None:
    assert "cross_encoder" in mesh.run("rerank", "a pet", "a cat", "a stock", code=1)


@pytest.mark.skipif(has_audio_device(), reason="this machine can play and record")
@pytest.mark.parametrize("arguments", [("talk",), ("speak", "hello")])
def test_without_an_audio_device_a_message_says_what_to_do(mesh: CommandLine, arguments: tuple[str, ...]) -> None:
    assert "work with files" in mesh.run(*arguments, code=1)


def test_refusals_name_the_field(mesh: CommandLine) -> None:
    assert "dimensions" in mesh.run("embed", "text", "--dimensions", "100000", code=1)
    assert "not_a_voice" in mesh.run("speak", "hello", "--voice", "not_a_voice", "--out", "x.wav", code=1)


def test_files_that_are_missing_or_no_audio_are_told(mesh: CommandLine) -> None:
    (mesh.folder / "notes.wav").write_text("these are notes")
    assert "no such file" in mesh.run("transcribe", "missing.wav", code=1)
    assert "cannot be read as audio" in mesh.run("ask", "notes.wav", code=1)
    assert "missing.png" in mesh.run("read", "missing.png", code=1)


def test_a_target_that_does_not_answer_says_how_to_start_it(mesh: CommandLine) -> None:
    port = free_block(7)
    target = f"127.0.0.1:{port + 4}"
    message = mesh.run("generate", "hello", "--target", target, code=1)
    assert message == f"voxmesh: llm: nothing answers at {target}: start it with `voxmesh up --base-port {port}`\n"


def test_demo_answers_a_question_and_hears_its_own_reply(mesh: CommandLine, question: str) -> None:
    done = mesh.raw("demo", question, "--out", "demo.wav", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert likeness(told["turns"][0]["text"], QUESTION) > 0.9
    assert told["likeness"] >= 0.6
    assert (mesh.folder / "demo.wav").stat().st_size > 10_000


class Device:
    """A sound card in real time: the microphone hears a file, then silence; the speaker keeps what it gets."""

    latency = 0.0
    heard: ClassVar[bytes] = b""
    played: ClassVar[list[bytes]] = []

    def __init__(self, *, samplerate: int, callback: Callable[..., None], blocksize: int = 480, **_: object) -> None:
        self._callback = callback
        self._block = blocksize
        self._period_s = blocksize / samplerate
        self._open = True
        self._records = samplerate == 16000
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._open = False
        self._thread.join()

    def _run(self) -> None:
        due, at = time.monotonic(), 0
        while self._open:
            data = bytearray(2 * self._block)
            if self._records:
                piece = Device.heard[at : at + len(data)]
                data[: len(piece)] = piece
                at += len(data)
            self._callback(data, self._block, None, None)
            if not self._records:
                Device.played.append(bytes(data))
            due += self._period_s
            time.sleep(max(0.0, due - time.monotonic()))


async def test_talk_hears_the_microphone_and_plays_the_reply(
    shared_mesh: MeshSettings,
    mesh: CommandLine,
    question: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    samples, rate = read_audio_file(mesh.folder / question)
    at_16k = np.interp(np.arange(0, samples.size, rate / 16000), np.arange(samples.size), samples)
    Device.heard = (at_16k * 32767).astype("<i2").tobytes()
    module = SimpleNamespace(RawOutputStream=Device, RawInputStream=Device, PortAudioError=OSError)
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    talking = asyncio.create_task(talk_with(shared_mesh, spoken_config(16000), times=False, json=True))
    printed = ""
    async with asyncio.timeout(60):
        while not printed:
            await asyncio.sleep(0.1)
            assert not talking.done(), talking.exception()
            printed = capsys.readouterr().out
        while not any(any(piece) for piece in Device.played):  # noqa: ASYNC110 # a thread plays
            await asyncio.sleep(0.1)
    talking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await talking
    turn = json.loads(printed.splitlines()[0])
    assert likeness(turn["text"], QUESTION) > 0.9
    assert turn["reply"]
