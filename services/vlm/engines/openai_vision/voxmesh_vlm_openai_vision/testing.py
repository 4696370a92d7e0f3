"""Help for tests: a real HTTP server on loopback whose every answer is a `Play`, scripted or computed."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from voxmesh_testing.http import Play, Received, ScriptedServer, found
from voxmesh_vlm.engine import Picture


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One request as the server got it."""

    fields: dict[str, Any]
    key: str
    """The Authorization header."""

    @property
    def text(self) -> str:
        """All that is said in the first message."""
        return "\n".join(part["text"] for part in self._parts if part["type"] == "text")

    @property
    def pictures(self) -> list[Picture]:
        """The pictures of the first message, decoded."""
        urls = [part["image_url"]["url"] for part in self._parts if part["type"] == "image_url"]
        files = [base64.b64decode(url.partition(",")[2]) for url in urls]
        return [np.array(Image.open(io.BytesIO(file)).convert("RGB"), np.uint8) for file in files]

    @property
    def _parts(self) -> list[dict[str, Any]]:
        return self.fields["messages"][0]["content"]


class ChatServer(ScriptedServer[ChatRequest]):
    """Answers chat completions by `compute`, or by what `play` was told last."""

    def __init__(self, compute: Callable[[ChatRequest], Play], models: Sequence[str]) -> None:
        super().__init__(compute, "/v1/chat/completions", _request, {"/v1/models": self._models})
        self.models = models

    def _models(self) -> Play:
        return found({"object": "list", "data": [{"id": name} for name in self.models]})


def _request(received: Received) -> ChatRequest:
    return ChatRequest(json.loads(received.body), received.headers.get("authorization", ""))


def event(text: str = "", finish: str | None = None, **delta: Any) -> bytes:
    """One event of a stream."""
    choice = {"index": 0, "delta": {"content": text, **delta}, "finish_reason": finish}
    return f"data: {json.dumps({'choices': [choice]})}\n\n".encode()


def writes(*texts: str, finish: str = "stop", gap_s: float = 0.0, is_cut: bool = False) -> Play:
    """An answer in pieces; one that is cut has no end."""
    ends = [] if is_cut else [event(finish=finish), b"data: [DONE]\n\n"]
    parts = [*map(event, texts), *ends]
    return Play(content_type="text/event-stream", parts=parts, gap_s=gap_s, is_cut=is_cut)


def echoes(request: ChatRequest) -> Play:
    """Says how many pictures came."""
    return writes("I see ", f"{len(request.pictures)}.")


@contextmanager
def chat_server(
    answer: Callable[[ChatRequest], Play] = echoes, models: Sequence[str] = ("eyes-1",), port: int = 0
) -> Generator[ChatServer]:
    """A server on loopback, by default on a free port."""
    server = ChatServer(answer, models)
    with server.running(port):
        yield server
