"""A recording holds what passed, only what was asked for, and never costs the session."""

import json
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.stt.v1 import stt_pb2
from voxmesh_coordinator.recording.folder import About, RecordingFolder, plain
from voxmesh_coordinator.recording.recorder import NotRecorded, Recording
from voxmesh_coordinator.settings import CoordinatorSettings
from voxmesh_runtime.audio import AudioFormat, read_audio_file
from voxmesh_runtime.clock import duration

pytestmark = pytest.mark.unit

S16 = AudioFormat(sample_rate_hertz=16_000)
Request = conversation_pb2.ConverseRequest
Response = conversation_pb2.ConverseResponse
CONFIG = conversation_pb2.ConversationConfig(
    recognition=stt_pb2.RecognitionConfig(audio_format=S16.to_proto()), record=True
)


def tone(level: int, samples: int) -> bytes:
    return np.full(samples, level, "<i2").tobytes()


def audio(sequence: int, data: bytes) -> Request:
    return Request(audio=conversation_pb2.AudioChunk(sequence=sequence, data=data))


def reply(sequence: int, data: bytes) -> Response:
    piece = conversation_pb2.ReplyAudio(sequence=sequence - 1, turn_index=0, offset=duration(0.5), data=data)
    return Response(sequence=sequence, reply_audio=piece)


def folder(tmp_path: Path, microphone: AudioFormat | None = S16) -> RecordingFolder:
    about = About("f00d", "near", plain(CONFIG), [plain(common_pb2.Ready(model="small", engine="quick"))])
    return RecordingFolder(tmp_path / "kept", about, microphone, S16)


def lines(recorded: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (recorded / "events.jsonl").read_text().splitlines()]


def about(recorded: Path) -> dict[str, Any]:
    return json.loads((recorded / "session.json").read_text())


def heard(recorded: Path, name: str) -> list[int]:
    """Levels of a wav file's samples."""
    return [round(sample * 32768) for sample in read_audio_file(recorded / name)[0]]


def finished(recording: Recording) -> Path:
    recording.close()
    assert recording.join(10)
    return recording.path


def test_only_this_user_can_read_a_recording(tmp_path: Path) -> None:
    kept = folder(tmp_path)
    kept.close(1.0, None)
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o700
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in kept.path.iterdir()}
    assert modes == dict.fromkeys(("session.json", "events.jsonl", "microphone.wav", "reply.wav"), 0o600)


def test_it_tells_who_served_what_and_whether_it_is_complete(tmp_path: Path) -> None:
    kept = folder(tmp_path)
    checkpoint = about(kept.path)
    kept.close(1.5, None)
    ended = about(kept.path)
    assert not checkpoint["complete"]
    assert ended["complete"]
    assert ended["truncated"] is None
    assert ended["duration_s"] == 1.5
    assert ended["session_id"] == "f00d"
    assert ended["config"]["recognition"]["audio_format"]["sample_rate_hertz"] == 16_000
    assert ended["services"] == [{"model": "small", "engine": "quick"}]
    assert ended["coordinator_version"]
    assert kept.path.name.endswith("Z-f00d")


def test_events_hold_every_message_without_its_payload(tmp_path: Path) -> None:
    kept = folder(tmp_path)
    started = conversation_pb2.SessionStarted(session_id="f00d", resume_token="x" * 20)
    kept.response(0.0, Response(session_started=started))
    kept.request(0.1, audio(0, tone(5, 320)))
    kept.request(0.2, Request(image=conversation_pb2.Image(data=b"picture")))
    kept.request(0.3, Request(text="hello"))
    kept.response(0.4, reply(1, tone(7, 160)))
    kept.close(1.0, None)
    assert [(line["direction"], line["message"]) for line in lines(kept.path)] == [
        ("response", {"session_started": {"session_id": "f00d"}}),
        ("request", {"audio": {}}),
        ("request", {"image": {}}),
        ("request", {"text": "hello"}),
        ("response", {"reply_audio": {"offset": "0.500s"}, "sequence": "1"}),
    ]
    assert [line["offset_s"] for line in lines(kept.path)] == [0.0, 0.1, 0.2, 0.3, 0.4]


def test_both_sides_share_a_time_axis(tmp_path: Path) -> None:
    kept = folder(tmp_path)
    kept.request(0.001, audio(0, tone(5, 320)))
    kept.request(0.030, audio(1, tone(6, 320)))
    kept.request(1.5, audio(2, tone(7, 320)))
    kept.response(0.5, reply(1, tone(8, 160)))
    kept.response(0.501, reply(2, tone(9, 160)))
    kept.close(1.0, None)
    microphone = heard(kept.path, "microphone.wav")
    assert microphone[:640] == [5] * 320 + [6] * 320
    assert set(microphone[640:24_000]) == {0}
    assert microphone[24_000:] == [7] * 320
    spoken = heard(kept.path, "reply.wav")
    assert set(spoken[:8000]) == {0}
    assert spoken[8000:] == [8] * 160 + [9] * 160
    assert lines(kept.path)[2]["audio"] == {"file": "microphone.wav", "start_frame": 24_000, "frames": 320}


def test_what_an_interruption_left_unplayed_is_dropped_and_counted(tmp_path: Path) -> None:
    kept = folder(tmp_path)
    kept.response(0.0, reply(1, tone(8, 16_000)))
    kept.response(0.25, Response(sequence=2, interrupted=conversation_pb2.Interrupted(heard_text="I")))
    kept.close(1.0, None)
    assert heard(kept.path, "reply.wav") == [8] * 4000
    line = lines(kept.path)[1]
    assert line["message"]["interrupted"] == {"heard_text": "I"}
    assert line["audio"] == {"file": "reply.wav", "dropped_frames": 12_000}


def test_what_is_sent_again_after_a_break_is_recorded_once(tmp_path: Path) -> None:
    kept = folder(tmp_path)
    for sequence in (0, 1, 1):
        kept.request(0.0, audio(sequence, tone(5 + sequence, 10)))
    for sequence in (1, 2, 2):
        kept.response(0.0, reply(sequence, tone(sequence, 10)))
    kept.close(1.0, None)
    assert heard(kept.path, "microphone.wav") == [5] * 10 + [6] * 10
    assert heard(kept.path, "reply.wav") == [1] * 10 + [2] * 10


def test_other_encodings_and_channels_become_mono_pcm(tmp_path: Path) -> None:
    stereo = AudioFormat.from_proto(
        common_pb2.AudioFormat(
            encoding=common_pb2.AudioFormat.ENCODING_PCM_F32LE, sample_rate_hertz=8000, channel_count=2
        )
    )
    kept = folder(tmp_path, stereo)
    kept.request(0.0, audio(0, np.array([0.5, 0.0] * 10, "<f4").tobytes()))
    kept.request(0.0, audio(1, np.array([np.nan], "<f4").tobytes()))
    kept.close(1.0, None)
    assert heard(kept.path, "microphone.wav") == [8192] * 10
    assert read_audio_file(kept.path / "microphone.wav")[1] == 8000
    assert "audio" not in lines(kept.path)[1]


def test_what_is_there_can_be_heard_after_a_crash(tmp_path: Path) -> None:
    kept = folder(tmp_path)
    kept.request(0.0, audio(0, tone(5, 320)))
    kept.flush()
    assert heard(kept.path, "microphone.wav") == [5] * 320
    assert len(lines(kept.path)) == 1
    kept.close(0.0, None)


def test_a_session_is_written_to_its_end(tmp_path: Path) -> None:
    recording = Recording(folder(tmp_path), max_bytes=10**6)
    recording.start()
    for sequence in range(100):
        recording.take(audio(sequence, tone(sequence, 10)))
    recording.take(Response(sequence=1, turn_ended=conversation_pb2.TurnEnded(text="hello")))
    path = finished(recording)
    recording.take(audio(100, tone(1, 10)))
    assert len(lines(path)) == 101
    assert len(heard(path, "microphone.wav")) == 1000
    assert about(path)["complete"]


def test_a_recording_stops_at_its_limit_and_says_so(tmp_path: Path) -> None:
    recording = Recording(folder(tmp_path), max_bytes=10_000)
    recording.start()
    for sequence in range(1000):
        recording.take(audio(sequence, tone(1, 320)))
    path = finished(recording)
    assert "limit of 10000 bytes" in about(path)["truncated"]
    assert not about(path)["complete"]
    assert sum(file.stat().st_size for file in path.iterdir()) < 20_000
    assert heard(path, "microphone.wav")


def test_a_disk_that_is_too_slow_ends_the_recording_and_holds_nobody_up(tmp_path: Path) -> None:
    recording = Recording(folder(tmp_path), max_bytes=10**6, max_waiting_bytes=10_000)
    for sequence in range(100):
        recording.take(audio(sequence, tone(1, 320)))
    recording.start()
    path = finished(recording)
    assert about(path)["truncated"] == "the disk was too slow"
    assert 1 <= len(lines(path)) < 20


def test_a_disk_that_fails_ends_the_recording_alone(tmp_path: Path) -> None:
    kept = folder(tmp_path)
    recording = Recording(kept, max_bytes=10**6)
    kept._events.close()
    kept._events = Path("/dev/full").open("r+b", buffering=0)  # noqa: SIM115 # the folder closes it
    recording.start()
    recording.take(Request(text="hello"))
    recording.take(Request(text="hello again"))
    path = finished(recording)
    assert about(path)["truncated"] == "the disk failed: No space left on device"


async def test_without_the_operators_folder_nothing_is_recorded() -> None:
    with pytest.raises(NotRecorded, match="keeps no recordings"):
        await Recording.begin(CoordinatorSettings(), "f00d", CONFIG, [])


async def test_a_folder_that_cannot_be_made_is_told_and_costs_only_the_recording(tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.touch()
    with pytest.raises(NotRecorded, match="could not make"):
        await Recording.begin(CoordinatorSettings(recordings_dir=occupied), "f00d", CONFIG, [])


async def test_a_typed_conversation_has_no_sound_files(tmp_path: Path) -> None:
    config = conversation_pb2.ConversationConfig(text_replies_only=True, record=True)
    recording = await Recording.begin(CoordinatorSettings(recordings_dir=tmp_path), "f00d", config, [])
    recording.take(Request(text="hello"))
    assert {file.name for file in finished(recording).iterdir()} == {"session.json", "events.jsonl"}
