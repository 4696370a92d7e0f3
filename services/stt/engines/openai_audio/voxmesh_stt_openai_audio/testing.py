"""Help for tests: a real HTTP server on loopback whose every transcription is a `Play`, scripted or computed."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Upload:
    """One transcription request as the server got it."""

    fields: Mapping[str, str]
    wav: bytes
    key: str
    """The Authorization header."""


@dataclass(frozen=True, slots=True)
class Play:
    """How one request is answered."""

    body: bytes = b""
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    parts: Sequence[bytes] = ()
    """Sent one by one in chunks, in place of `body`."""
    gap_s: float = 0.0
    """Silence before each part but the first."""
    pause_s: float = 0.0
    """Silence before the first byte."""
    is_cut: bool = False
    """The connection breaks after the last part."""


def says(text: str, **fields: Any) -> Play:
    """A plain JSON answer."""
    return Play(json.dumps({"text": text, **fields}).encode())


def fails(status: int, message: str = "", **headers: str) -> Play:
    """An error as OpenAI words it."""
    return Play(json.dumps({"error": {"message": message}}).encode(), status, headers=headers)


def streams(*events: str | Mapping[str, Any], gap_s: float = 0.0, is_cut: bool = False) -> Play:
    """Server-sent events."""
    texts = [event if isinstance(event, str) else json.dumps(event) for event in events]
    parts = [f"data: {text}\n\n".encode() for text in texts]
    return Play(content_type="text/event-stream", parts=parts, gap_s=gap_s, is_cut=is_cut)


class TranscriptionServer:
    """Answers transcriptions by `compute`, or by what `play` was told last."""

    def __init__(self, compute: Callable[[Upload], Play], models: Sequence[str] | None) -> None:
        self.models = models
        """What is listed; None answers 404."""
        self.uploads: list[Upload] = []
        self.hang_ups = 0
        """Answers that the client did not wait for."""
        self.most_at_once = 0
        self.url = ""
        self.compute = compute
        self._plays: deque[Play] = deque()
        self._lock = threading.Lock()
        self._at_once = 0

    def play(self, *plays: Play) -> None:
        """Answer by these from now on, the last one again and again; without any by `compute`.

        The requests so far are forgotten.
        """
        with self._lock:
            self._plays = deque(plays)
            self.uploads.clear()

    def answer(self, upload: Upload) -> Play:
        """The answer to a request."""
        with self._lock:
            self.uploads.append(upload)
            if self._plays:
                return self._plays.popleft() if len(self._plays) > 1 else self._plays[0]
        return self.compute(upload)

    @contextmanager
    def counted(self) -> Generator[None]:
        """One more request is under way for the time of the block."""
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield
        finally:
            with self._lock:
                self._at_once -= 1


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: TranscriptionServer

    def do_GET(self) -> None:  # http.server's name
        models = self.owner.models
        if models is None or self.path != "/v1/models":
            self._send(Play(b'{"detail": "Not Found"}', 404))
        else:
            self._send(Play(json.dumps({"object": "list", "data": [{"id": name} for name in models]}).encode()))

    def do_POST(self) -> None:  # http.server's name
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/v1/audio/transcriptions":
            self._send(Play(b'{"detail": "Not Found"}', 404))
            return
        with self.owner.counted():
            self._send(self.owner.answer(self._upload(body)))

    def _upload(self, body: bytes) -> Upload:
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        fields: dict[str, str] = {}
        wav = b""
        for part in BytesParser(policy=HTTP).parsebytes(head + body).iter_parts():
            name = str(part.get_param("name", header="Content-Disposition"))
            data = part.get_payload(decode=True)
            content = data if isinstance(data, bytes) else b""
            if part.get_filename() is None:
                fields[name] = content.decode()
            else:
                wav = content
        return Upload(fields, wav, self.headers.get("Authorization", ""))

    def _send(self, play: Play) -> None:
        try:
            self._wait(play.pause_s)
            self.send_response(play.status)
            self.send_header("Content-Type", play.content_type)
            for name, value in play.headers.items():
                self.send_header(name.replace("_", "-"), value)
            if play.parts:
                self.send_header("Transfer-Encoding", "chunked")
            else:
                self.send_header("Content-Length", str(len(play.body)))
            self.end_headers()
            self.wfile.write(play.body)
            self._send_parts(play)
        except ConnectionError:
            self.owner.hang_ups += 1
            self.close_connection = True

    def _send_parts(self, play: Play) -> None:
        for number, part in enumerate(play.parts):
            self._wait(play.gap_s if number else 0.0)
            self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            self.wfile.flush()
        if play.is_cut:
            self.close_connection = True
        elif play.parts:
            self.wfile.write(b"0\r\n\r\n")

    def _wait(self, seconds: float) -> None:
        """Wait; a client that hangs up meanwhile ends the answer."""
        until = time.monotonic() + seconds
        while (left_s := until - time.monotonic()) > 0:
            if not select.select([self.connection], [], [], min(left_s, 0.5))[0]:
                continue
            if not self.connection.recv(1, socket.MSG_PEEK):
                raise ConnectionResetError

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # http.server's name
        """Keep quiet."""


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that the client broke is none of the server's errors."""


@contextmanager
def transcription_server(
    answer: Callable[[Upload], Play] | None = None,
    models: Sequence[str] | None = ("whisper-1",),
    port: int = 0,
) -> Generator[TranscriptionServer]:
    """A server on loopback, by default on a free port; without `answer` it says `Hello.` to everything."""
    server = TranscriptionServer(answer or (lambda _: says("Hello.")), models)
    handler = type("Handler", (_Handler,), {"owner": server})
    http = _HttpServer(("127.0.0.1", port), handler)
    server.url = f"http://127.0.0.1:{http.server_address[1]}/v1"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
