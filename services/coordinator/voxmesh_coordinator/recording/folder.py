"""The files of one recording: what was said in which order, and both sides' audio on one time axis.

20260131T120000Z-<session id>/     0700, its files 0600
    session.json      the config, who served it, and whether the rest is complete
    events.jsonl      every message of both directions, without its audio, and where that is
    microphone.wav    16-bit mono; absent in a typed conversation
    reply.wav         the same, as a client hears it that plays at once; absent where replies are text
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_coordinator.recording.pcm_file import PcmFile, private_file
from voxmesh_runtime.audio import AudioFormat, Decoder, Encoder
from voxmesh_runtime.errors import InvalidArgument

Request = conversation_pb2.ConverseRequest
Response = conversation_pb2.ConverseResponse

FORMAT = 1
"""Of the folder; it changes when a reader of today could not read it."""
STALL_S = 1.0
"""Microphone audio that is later than this came after a gap; less is made up for by what follows at once."""
_MAX_CHUNK_BYTES = 16 * 1024 * 1024


@dataclass(slots=True)
class About:
    """What `session.json` tells."""

    session_id: str
    host: str
    config: dict[str, Any]
    services: list[dict[str, Any]]
    """`Ready` of each service: turn, stt, llm, tts and the coordinator, without those that the config leaves out."""
    format: int = FORMAT
    coordinator_version: str = field(default_factory=lambda: version("voxmesh-coordinator"))
    started_time: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))
    duration_s: float = 0.0
    complete: bool = False
    """False while it is being written, after a crash, and when it was truncated."""
    truncated: str | None = None
    """Why recording stopped before the conversation did."""


class RecordingFolder:
    """Writes one recording, in one thread.

    Args:
        recordings: folder of all recordings, made where it is missing.
        about: the session.
        microphone: format of the client's audio; None where there is none.
        reply: format of the reply's audio; None where there is none.

    Raises:
        OSError: from every method, when the file system does.
    """

    def __init__(
        self, recordings: Path, about: About, microphone: AudioFormat | None, reply: AudioFormat | None
    ) -> None:
        started = datetime.fromisoformat(about.started_time)
        self.path = recordings / f"{started:%Y%m%dT%H%M%SZ}-{about.session_id}"
        self._about = about
        recordings.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path.mkdir(mode=0o700)
        self._events = private_file(self.path / "events.jsonl")
        self._microphone = self._track("microphone.wav", microphone)
        self._reply = self._track("reply.wav", reply)
        self._tracks = [track for track in (self._microphone, self._reply) if track is not None]
        self._next_sequence = self._last_sequence = 0
        self._save()

    @property
    def size_bytes(self) -> int:
        """Of all files but `session.json`."""
        return self._events.tell() + sum(track.file.size_bytes for track in self._tracks)

    def request(self, offset_s: float, request: Request) -> None:
        """The client sent this at `offset_s` from the start."""
        audio = None
        # A client that comes back repeats what it cannot know to be safe.
        if request.HasField("audio") and self._microphone and request.audio.sequence == self._next_sequence:
            self._next_sequence += 1
            audio = self._microphone.add(request.audio.data, offset_s, STALL_S)
        self._line(offset_s, "request", request, audio)

    def response(self, offset_s: float, response: Response) -> None:
        """The client was sent this at `offset_s`."""
        if 0 < response.sequence <= self._last_sequence:
            return
        self._last_sequence = max(self._last_sequence, response.sequence)
        audio = None
        if self._reply is not None and response.HasField("reply_audio"):
            audio = self._reply.add(response.reply_audio.data, offset_s, 0.0)
        elif self._reply is not None and response.HasField("interrupted"):
            audio = self._reply.cut(offset_s)
        self._line(offset_s, "response", response, audio)

    def flush(self) -> None:
        """Have everything so far in the files, should the process die."""
        self._events.flush()
        for track in self._tracks:
            track.file.flush()

    def close(self, duration_s: float, truncated: str | None) -> None:
        """End the recording; `truncated` says why, unless it was the conversation that ended."""
        self._about.duration_s = round(duration_s, 3)
        self._about.complete, self._about.truncated = truncated is None, truncated
        try:
            self._events.close()
            for track in self._tracks:
                track.file.close()
        except OSError as error:
            self._about.complete = False
            self._about.truncated = truncated or f"the disk failed: {error.strerror}"
        self._save()

    def _track(self, name: str, audio_format: AudioFormat | None) -> Track | None:
        if audio_format is None:
            return None
        return Track(name, PcmFile(private_file(self.path / name), audio_format.sample_rate_hertz), audio_format)

    def _line(self, offset_s: float, direction: str, message: Message, audio: dict[str, Any] | None) -> None:
        line = {"offset_s": round(offset_s, 6), "direction": direction, "message": plain(_without_payload(message))}
        if audio is not None:
            line["audio"] = audio
        self._events.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")

    def _save(self) -> None:
        """Replace `session.json`; a reader finds the old one or the new one, and never half of one."""
        draft = self.path / ".session.json"
        with private_file(draft) as file:
            file.write(json.dumps(asdict(self._about), ensure_ascii=False, indent=2).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path / "session.json")


class Track:
    """One side's audio, placed by time."""

    def __init__(self, name: str, file: PcmFile, audio_format: AudioFormat) -> None:
        self.file = file
        self._name = name
        self._rate_hertz = audio_format.sample_rate_hertz
        self._decoder = Decoder(audio_format, max_chunk_bytes=_MAX_CHUNK_BYTES)
        self._encoder = Encoder(AudioFormat(sample_rate_hertz=audio_format.sample_rate_hertz))

    def add(self, data: bytes, offset_s: float, jitter_s: float) -> dict[str, Any] | None:
        """Add audio that came at `offset_s`: after what is there, or there if that is later by more than `jitter_s`."""
        try:
            pcm = self._encoder.encode(self._decoder.decode(data))
        except InvalidArgument:
            # Nothing, as at the end of a reply, or what the session is about to refuse.
            return None
        at_frame = round(offset_s * self._rate_hertz)
        start = at_frame if at_frame - self.file.frames > jitter_s * self._rate_hertz else self.file.frames
        self.file.put(start, pcm)
        return {"file": self._name, "start_frame": start, "frames": len(pcm) // 2}

    def cut(self, offset_s: float) -> dict[str, Any]:
        """Drop what a client has not yet played at `offset_s`."""
        frames = self.file.frames
        self.file.cut(round(offset_s * self._rate_hertz))
        return {"file": self._name, "dropped_frames": frames - self.file.frames}


def plain(message: Message) -> dict[str, Any]:
    """A message as JSON has it, with the contract's names."""
    return MessageToDict(message, preserving_proto_field_name=True)


def _without_payload(message: Message) -> Message:
    """The message without audio, pictures, and the token that opens the session to who has it."""
    kept = type(message)()
    kept.CopyFrom(message)
    match kept:
        case Request() if kept.WhichOneof("converse_request") in {"audio", "image"}:
            getattr(kept, kept.WhichOneof("converse_request") or "").ClearField("data")
        case Response() if kept.HasField("reply_audio"):
            kept.reply_audio.ClearField("data")
        case Response() if kept.HasField("session_started"):
            kept.session_started.ClearField("resume_token")
        case _:
            pass
    return kept
