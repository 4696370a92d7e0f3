"""A recording is read as it was written, and a replay is compared with it turn by turn."""

from __future__ import annotations

import json
import wave
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from typer.testing import CliRunner

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.stt.v1 import stt_pb2
from voxmesh_client.cli.app import app
from voxmesh_client.cli.show import print_ignored
from voxmesh_client.events import Event, SpeechStarted
from voxmesh_client.recording import Moment, NoRecording, read_recording
from voxmesh_client.replay_changes import Word, compare, other_services, outcomes

pytestmark = pytest.mark.unit

TurnEnded = conversation_pb2.TurnEnded
TurnReport = conversation_pb2.TurnReport
Outcome = common_pb2.OptionOutcome
FLOATS = common_pb2.AudioFormat(
    encoding=common_pb2.AudioFormat.ENCODING_PCM_F32LE, sample_rate_hertz=8000, channel_count=2
)


def line(offset_s: float, direction: str, message: dict[str, Any], **more: Any) -> str:
    return json.dumps({"offset_s": offset_s, "direction": direction, "message": message, **more}) + "\n"


def place(start_frame: int, frames: int) -> dict[str, Any]:
    return {"file": "microphone.wav", "start_frame": start_frame, "frames": frames}


def write(folder: Path, *events: str, **about: Any) -> Path:
    """A recording by hand."""
    config = conversation_pb2.ConversationConfig(
        recognition=stt_pb2.RecognitionConfig(audio_format=FLOATS), record=True, system_prompt="Be kind."
    )
    plain = {
        "format": 1,
        "config": MessageToDict(config, preserving_proto_field_name=True),
        "services": [{"engine": name} for name in ("silero", "moonshine", "llama", "hibari")],
        "complete": True,
        "truncated": None,
        **about,
    }
    (folder / "session.json").write_text(json.dumps(plain))
    (folder / "events.jsonl").write_text("".join(events))
    with wave.open(str(folder / "microphone.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(range(200)))
    return folder


def turn(index: int, text: str, *, at_s: float = 1.0, others: tuple[Event, ...] = ()) -> list[Moment]:
    return [Moment(at_s, event) for event in (TurnEnded(turn_index=index, text=text), *others)]


def report(speech_ended_ms: int, first_audio_ms: int) -> TurnReport:
    made = TurnReport()
    made.speech_ended_time.FromMilliseconds(speech_ended_ms)
    made.first_audio_time.FromMilliseconds(first_audio_ms)
    return made


def test_audio_is_found_at_its_place_and_repeats_have_none(tmp_path: Path) -> None:
    recording = read_recording(
        write(
            tmp_path,
            line(0.1, "request", {"audio": {}}, audio=place(0, 10)),
            line(0.2, "request", {"audio": {"sequence": "1"}}, audio=place(50, 10)),
            line(0.3, "request", {"audio": {"sequence": "1"}}),
            line(0.4, "request", {"text": "hello"}),
        )
    )
    assert [sent.pcm for sent in recording.sent] == [bytes(range(20)), bytes(range(100, 120)), b"", b""]
    assert [sent.offset_s for sent in recording.sent] == [0.1, 0.2, 0.3, 0.4]
    assert recording.sent[3].request.text == "hello"


def test_moments_know_how_much_audio_came_before_them(tmp_path: Path) -> None:
    recording = read_recording(
        write(
            tmp_path,
            line(0.0, "response", {"session_started": {"session_id": "f00d"}}),
            line(0.1, "request", {"audio": {}}, audio=place(0, 8000)),
            line(1.2, "response", {"speech_started": "0.500s", "sequence": "1"}),
            line(1.3, "request", {"audio": {"sequence": "1"}}, audio=place(16_000, 4000)),
            line(1.4, "response", {"turn_ended": {"text": "hello", "unheard_of": 1}, "sequence": "2"}),
        )
    )
    assert recording.moments == [Moment(1.0, SpeechStarted(0.5)), Moment(1.5, TurnEnded(text="hello"))]


def test_the_config_is_the_recorded_one_with_the_files_format(tmp_path: Path) -> None:
    recording = read_recording(write(tmp_path))
    assert recording.config.system_prompt == "Be kind."
    assert not recording.config.record
    heard = recording.config.recognition.audio_format
    assert (heard.encoding, heard.sample_rate_hertz, heard.channel_count) == (1, 8000, 1)
    assert recording.config.reply_audio_format.sample_rate_hertz == 24_000
    assert list(recording.services) == ["turn", "stt", "llm", "tts"]


def test_a_line_that_a_crash_cut_is_left_out(tmp_path: Path) -> None:
    recording = read_recording(
        write(tmp_path, line(0.1, "request", {"text": "hello"}), '{"offset_s": 0.', complete=False)
    )
    assert len(recording.sent) == 1
    assert not recording.is_complete


@pytest.mark.parametrize(
    ("name", "content"),
    [("session.json", "{}"), ("session.json", "?"), ("events.jsonl", "?\n"), ("microphone.wav", "")],
)
def test_a_damaged_recording_is_refused_by_name(tmp_path: Path, name: str, content: str) -> None:
    write(tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(NoRecording, match=str(tmp_path)):
        read_recording(tmp_path)


def test_a_newer_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoRecording, match="newer voxmesh"):
        read_recording(write(tmp_path, format=2))


def test_a_folder_without_a_recording_is_a_usage_error(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["replay", str(tmp_path)])
    assert done.exit_code == 2
    assert "session.json" in done.stderr


def test_same_words_and_decisions_are_alike_whatever_the_reply() -> None:
    said = conversation_pb2.ReplyText(delta="Paris.")
    told = conversation_pb2.ReplyText(delta="It is Paris.")
    changes = compare(turn(0, "What is it?", others=(said,)), turn(0, "what is it", at_s=1.4, others=(told,)))
    assert [change.is_alike for change in changes] == [True]
    assert changes[0].recorded is not None
    assert changes[0].recorded.reply == "Paris."


def test_other_words_are_shown_one_by_one() -> None:
    [change] = compare(turn(0, "the capital of France"), turn(0, "the capitol of france please"))
    assert not change.is_alike
    assert change.words == [
        Word("the", ""),
        Word("capital", "-"),
        Word("capitol", "+"),
        Word("of", ""),
        Word("france", ""),
        Word("please", "+"),
    ]


def test_vowel_signs_count_and_punctuation_does_not() -> None:
    assert compare(turn(0, "नमस्ते।"), turn(0, "नमस्ते"))[0].is_alike
    assert not compare(turn(0, "की"), turn(0, "का"))[0].is_alike


@pytest.mark.parametrize(
    ("others", "at_s", "told"),
    [
        ((), 1.6, "ended at 1.00 s -> 1.60 s of the audio"),
        ((conversation_pb2.Interrupted(heard_text="It"),), 1.0, "is interrupted; was not"),
        ((conversation_pb2.Duck(gain=0.25), conversation_pb2.Duck(gain=1)), 1.0, "volume untouched -> 0.25/1"),
        ((conversation_pb2.TurnFailed(message="no model"),), 1.0, "fails: no model"),
    ],
)
def test_other_decisions_are_told(others: tuple[Event, ...], at_s: float, told: str) -> None:
    [change] = compare(turn(0, "hello"), turn(0, "hello", at_s=at_s, others=others))
    assert change.decisions == [told]
    assert not change.is_alike


def test_turns_that_are_there_only_once_differ() -> None:
    gone = compare([*turn(0, "one"), *turn(1, "two")], turn(0, "one"))
    assert [change.decisions for change in gone] == [[], ["there is no such turn any more"]]
    new = compare([], turn(0, "one"))
    assert new[0].decisions == ["there was no such turn"]
    assert new[0].words == [Word("one", "+")]


def test_latency_is_from_the_end_of_speech_to_the_first_audio() -> None:
    [outcome] = outcomes(turn(0, "hello", others=(report(1000, 1750),)))
    assert outcome.latency_s == 0.75
    [silent] = outcomes(turn(0, "hello", others=(TurnReport(),)))
    assert silent.latency_s is None


def test_services_that_changed_are_named() -> None:
    then = {"stt": common_pb2.Ready(engine="moonshine", model="tiny"), "llm": common_pb2.Ready(engine="llama")}
    now = {"stt": common_pb2.Ready(engine="whisper", model="large"), "llm": common_pb2.Ready(engine="llama")}
    assert other_services(then, now) == {"stt": ("moonshine tiny", "whisper large")}


def test_a_person_is_told_why_nothing_is_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    ignored = common_pb2.OptionOutcome(
        field="config.record", outcome=Outcome.OUTCOME_IGNORED, detail="it keeps no recordings"
    )
    applied = common_pb2.OptionOutcome(field="config.record", outcome=Outcome.OUTCOME_APPLIED)
    for option in (applied, ignored):
        print_ignored(conversation_pb2.SessionStarted(services=[common_pb2.Ready(options=[option])]))
    assert capsys.readouterr().err == "voxmesh: not recorded: it keeps no recordings\n"


def test_a_person_is_told_that_a_purpose_is_not_applied(capsys: pytest.CaptureFixture[str]) -> None:
    option = common_pb2.OptionOutcome(field="config.purpose", outcome=Outcome.OUTCOME_IGNORED, detail="it is new")
    print_ignored(conversation_pb2.SessionStarted(services=[common_pb2.Ready(options=[option])]))
    assert capsys.readouterr().err == "voxmesh: purpose not applied: it is new\n"
