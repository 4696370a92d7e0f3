"""Reads the folder of a recorded conversation, as the coordinator wrote it."""

from __future__ import annotations

import json
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.json_format import ParseDict, ParseError

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_client.events import Event, event_of
from voxmesh_client.sound import pcm
from voxmesh_runtime.files import problem_with

Request = conversation_pb2.ConverseRequest
Response = conversation_pb2.ConverseResponse

FORMAT = 1
"""Of the folders that can be read."""
_REPLY_HERTZ = 24_000
_UNREADABLE = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RecursionError,
    ParseError,
    wave.Error,
    EOFError,
)
"""What files of another kind, or damaged ones, raise on the way."""


class NoRecording(Exception):
    """A folder holds no recording that can be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What the client sent, `offset_s` seconds after the start."""

    offset_s: float
    request: Request
    pcm: bytes
    """Microphone audio, PCM_S16LE; the request has none."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What the client was told."""

    audio_s: float
    """Microphone audio that had been sent by then, in seconds."""
    event: Event


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded conversation."""

    config: conversation_pb2.ConversationConfig
    """To hold it again: as it was, but that audio is PCM_S16LE, as in the files, and no recording is made."""
    services: dict[str, common_pb2.Ready]
    """Who served it, by slot."""
    sent: list[Sent]
    moments: list[Moment]
    is_complete: bool
    """False when the conversation went on after the recording's end."""
    truncated: str
    """Why it did; empty when the coordinator ended without a word."""

    @property
    def rate_hertz(self) -> int:
        """Of the microphone's audio; 0 where there is none."""
        return self.config.recognition.audio_format.sample_rate_hertz

    @property
    def says_goodbye(self) -> bool:
        """The client took leave; else it ended its input and waited for the answers."""
        return any(sent.request.HasField("goodbye") for sent in self.sent)

    def requests(self, kind: str) -> list[Request]:
        """All requests of a kind."""
        return [sent.request for sent in self.sent if sent.request.HasField(kind)]  # pyright: ignore[reportArgumentType] # known by its name


def read_recording(folder: Path) -> Recording:
    """The recording in a folder.

    Raises:
        NoRecording: there is none, or it is damaged, or of a newer coordinator.
    """
    try:
        about = json.loads((folder / "session.json").read_text())
        if about["format"] != FORMAT:
            raise NoRecording(f"{folder}: format {about['format']} is not known here; take a newer voxmesh")
        given = ParseDict(about["config"], conversation_pb2.ConversationConfig(), ignore_unknown_fields=True)
        services = [ParseDict(each, common_pb2.Ready(), ignore_unknown_fields=True) for each in about["services"]]
        lines = list(_lines(folder / "events.jsonl"))
        config = _to_replay(given)
        audio = _audio(folder / "microphone.wav") if config.HasField("recognition") else b""
        sent = [_sent(line, audio) for line in lines if line["direction"] == "request"]
        moments = list(_moments(lines, config.recognition.audio_format.sample_rate_hertz))
    except OSError as error:
        raise NoRecording(f"{folder}: no recording of a conversation ({problem_with(error)})") from None
    except _UNREADABLE as error:
        raise NoRecording(f"{folder}: no recording of a conversation ({type(error).__name__}: {error})") from None
    named = named_services(config, services)
    return Recording(config, named, sent, moments, bool(about["complete"]), about["truncated"] or "")


def named_services(
    config: conversation_pb2.ConversationConfig, services: list[common_pb2.Ready]
) -> dict[str, common_pb2.Ready]:
    """Acknowledgements by slot; the coordinator gives them in the order in which a turn meets them."""
    listening = ["turn", "stt"] if config.HasField("recognition") else []
    speaking = [] if config.text_replies_only else ["tts"]
    return dict(zip([*listening, "llm", *speaking], services, strict=False))


def _to_replay(given: conversation_pb2.ConversationConfig) -> conversation_pb2.ConversationConfig:
    config = conversation_pb2.ConversationConfig()
    config.CopyFrom(given)
    config.record = False
    if config.HasField("recognition"):
        rate_hertz = config.recognition.audio_format.sample_rate_hertz
        config.recognition.audio_format.CopyFrom(pcm(rate_hertz).to_proto())
    reply_hertz = config.reply_audio_format.sample_rate_hertz or _REPLY_HERTZ
    config.reply_audio_format.CopyFrom(pcm(reply_hertz).to_proto())
    return config


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The events; a last line that a crash cut is left out."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)


def _audio(path: Path) -> bytes:
    with wave.open(str(path)) as file:
        return file.readframes(file.getnframes())


def _sent(line: dict[str, Any], audio: bytes) -> Sent:
    place = line.get("audio", {"start_frame": 0, "frames": 0})
    begin, end = place["start_frame"], place["start_frame"] + place["frames"]
    request = ParseDict(line["message"], Request(), ignore_unknown_fields=True)
    return Sent(float(line["offset_s"]), request, audio[2 * begin : 2 * end])


def _moments(lines: list[dict[str, Any]], rate_hertz: int) -> Iterator[Moment]:
    frames = 0
    for line in lines:
        if line["direction"] == "request":
            frames += line.get("audio", {}).get("frames", 0)
            continue
        response = ParseDict(line["message"], Response(), ignore_unknown_fields=True)
        event = event_of(response.WhichOneof("converse_response") or "", response)
        if event is not None:
            yield Moment(frames / rate_hertz if rate_hertz else 0.0, event)
