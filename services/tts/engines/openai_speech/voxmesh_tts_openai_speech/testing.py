"""Help for tests: a real HTTP server on loopback whose every speech is a `Play`, scripted or computed."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from voxmesh_runtime.audio import Samples
from voxmesh_testing.http import NOT_FOUND, Play, Received, ScriptedServer, found

RATE_HERTZ = 24000


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """One request as the server got it."""

    fields: dict[str, Any]
    key: str
    """The Authorization header."""


class SpeechServer(ScriptedServer[SpeechRequest]):
    """Answers speech by `compute`, or by what `play` was told last."""

    def __init__(self, compute: Callable[[SpeechRequest], Play], models: Sequence[str], voices: object) -> None:
        listings = {"/v1/models": self._models, "/v1/audio/voices": self._voices}
        super().__init__(compute, "/v1/audio/speech", _request, listings)
        self.models = models
        self.voices = voices
        """What is listed; None answers 404."""

    def _models(self) -> Play:
        return found({"object": "list", "data": [{"id": name} for name in self.models]})

    def _voices(self) -> Play:
        return NOT_FOUND if self.voices is None else found(self.voices)


def _request(received: Received) -> SpeechRequest:
    return SpeechRequest(json.loads(received.body), received.headers.get("authorization", ""))


def tone(seconds: float, *, hertz: int = RATE_HERTZ) -> Samples:
    """A note of 440 Hz."""
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * hertz)) / hertz)).astype(np.float32)


def pcm(samples: Samples) -> bytes:
    """Raw 16-bit samples."""
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


def streamed(
    data: bytes, kind: str = "audio/pcm", *, size: int = 4801, gap_s: float = 0.0, is_cut: bool = False
) -> Play:
    """An answer in chunks; the default size is odd, so that samples are torn apart."""
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    return Play(content_type=kind, parts=parts, gap_s=gap_s, is_cut=is_cut)


def wav_head(
    size: int, *, hertz: int = RATE_HERTZ, channels: int = 1, bits: int = 16, tag: int = 1, before: bytes = b""
) -> bytes:
    """The header of a wav that claims to hold `size` bytes of samples; `before` are chunks in front of them."""
    frame = channels * bits // 8
    kind = struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, channels, hertz, hertz * frame, frame, bits)
    whole = min(size + 36 + len(before), 0xFFFFFFFF)
    return struct.pack("<4sI4s", b"RIFF", whole, b"WAVE") + kind + before + struct.pack("<4sI", b"data", size)


def sounds(request: SpeechRequest) -> Play:
    """A second of a note at speed 1, in any of three formats."""
    samples = tone(1.0 / request.fields.get("speed", 1.0))
    return as_asked(samples, request)


def as_asked(samples: Samples, request: SpeechRequest) -> Play:
    """Samples at `RATE_HERTZ` as the format that was asked for; a wav without its length, as streaming servers do."""
    match request.fields["response_format"]:
        case "pcm":
            return streamed(pcm(samples)) if len(samples) else Play(content_type="audio/pcm")
        case "wav":
            return streamed(wav_head(0xFFFFFFFF) + pcm(samples), "audio/wav")
        case other:
            return Play(json.dumps({"detail": f"response_format {other} is not supported"}).encode(), 400)


@contextmanager
def speech_server(
    answer: Callable[[SpeechRequest], Play] = sounds,
    models: Sequence[str] = ("tts-1",),
    voices: object = None,
    port: int = 0,
) -> Generator[SpeechServer]:
    """A server on loopback, by default on a free port."""
    server = SpeechServer(answer, models, voices)
    with server.running(port):
        yield server
