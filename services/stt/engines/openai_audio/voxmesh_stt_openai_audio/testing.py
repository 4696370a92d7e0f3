"""Help for tests: a real HTTP server on loopback whose every transcription is a `Play`, scripted or computed."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

from voxmesh_testing.http import NOT_FOUND, Play, Received, ScriptedServer, fails, found

__all__ = ["Play", "TranscriptionServer", "Upload", "fails", "says", "streams", "transcription_server"]


@dataclass(frozen=True, slots=True)
class Upload:
    """One transcription request as the server got it."""

    fields: Mapping[str, str]
    wav: bytes
    key: str
    """The Authorization header."""


def says(text: str, **fields: Any) -> Play:
    """A plain JSON answer."""
    return found({"text": text, **fields})


def streams(*events: str | Mapping[str, Any], gap_s: float = 0.0, is_cut: bool = False) -> Play:
    """Server-sent events."""
    texts = [event if isinstance(event, str) else json.dumps(event) for event in events]
    parts = [f"data: {text}\n\n".encode() for text in texts]
    return Play(content_type="text/event-stream", parts=parts, gap_s=gap_s, is_cut=is_cut)


class TranscriptionServer(ScriptedServer[Upload]):
    """Answers transcriptions by `compute`, or by what `play` was told last."""

    def __init__(self, compute: Callable[[Upload], Play], models: Sequence[str] | None) -> None:
        super().__init__(compute, "/v1/audio/transcriptions", _upload, {"/v1/models": self._models})
        self.models = models
        """What is listed; None answers 404."""

    @property
    def uploads(self) -> list[Upload]:
        """The requests since `play` was told something."""
        return self.requests

    def _models(self) -> Play:
        if self.models is None:
            return NOT_FOUND
        return found({"object": "list", "data": [{"id": name} for name in self.models]})


def _upload(received: Received) -> Upload:
    head = f"Content-Type: {received.headers['content-type']}\r\n\r\n".encode()
    fields: dict[str, str] = {}
    wav = b""
    for part in BytesParser(policy=HTTP).parsebytes(head + received.body).iter_parts():
        name = str(part.get_param("name", header="Content-Disposition"))
        data = part.get_payload(decode=True)
        content = data if isinstance(data, bytes) else b""
        if part.get_filename() is None:
            fields[name] = content.decode()
        else:
            wav = content
    return Upload(fields, wav, received.headers.get("authorization", ""))


@contextmanager
def transcription_server(
    answer: Callable[[Upload], Play] | None = None,
    models: Sequence[str] | None = ("whisper-1",),
    port: int = 0,
) -> Generator[TranscriptionServer]:
    """A server on loopback, by default on a free port; without `answer` it says `Hello.` to everything."""
    server = TranscriptionServer(answer or (lambda _: says("Hello.")), models)
    with server.running(port):
        yield server
