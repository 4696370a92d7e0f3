"""Help for tests of engines that ask a server: a real HTTP server on loopback whose every answer is a `Play`."""

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
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Generic, TypeVar

RequestT = TypeVar("RequestT")


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


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


def fails(status: int, message: str = "", **headers: str) -> Play:
    """An error as OpenAI words it."""
    return Play(json.dumps({"error": {"message": message}}).encode(), status, headers=headers)


def found(body: object) -> Play:
    """A JSON answer."""
    return Play(json.dumps(body).encode())


NOT_FOUND = Play(b'{"detail": "Not Found"}', 404)


class ScriptedServer(Generic[RequestT]):
    """Answers the requests of one kind by `compute`, or by what `play` was told last.

    Args:
        compute: the answer to a request, when none was told.
        path: where those requests are posted; `read` makes them.
        read: the request in what came.
        listings: what is answered to GET, by path; everything else is not found.
    """

    def __init__(
        self,
        compute: Callable[[RequestT], Play],
        path: str,
        read: Callable[[Received], RequestT],
        listings: Mapping[str, Callable[[], Play]],
    ) -> None:
        self.requests: list[RequestT] = []
        self.hang_ups = 0
        """Answers that the client did not wait for."""
        self.most_at_once = 0
        self.url = ""
        self.compute = compute
        self._path = path
        self._read = read
        self._listings = listings
        self._plays: deque[Play] = deque()
        self._lock = threading.Lock()
        self._at_once = 0

    def play(self, *plays: Play) -> None:
        """Answer by these from now on, the last one again and again; without any by `compute`.

        The requests so far are forgotten.
        """
        with self._lock:
            self._plays = deque(plays)
            self.requests.clear()

    @contextmanager
    def answered(self, received: Received) -> Generator[Play]:
        """The answer to a request, which is under way for the time of the block."""
        if received.method == "GET" and received.path in self._listings:
            yield self._listings[received.path]()
        elif received.method == "POST" and received.path == self._path:
            with self._counted():
                yield self._answer(self._read(received))
        else:
            yield NOT_FOUND

    def _answer(self, request: RequestT) -> Play:
        with self._lock:
            self.requests.append(request)
            if self._plays:
                return self._plays.popleft() if len(self._plays) > 1 else self._plays[0]
        return self.compute(request)

    @contextmanager
    def _counted(self) -> Generator[None]:
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield
        finally:
            with self._lock:
                self._at_once -= 1

    @contextmanager
    def running(self, port: int = 0) -> Generator[None]:
        """On loopback for the time of the block, by default on a free port; `url` says where."""
        handler = type("Handler", (_Handler,), {"owner": self})
        http = _HttpServer(("127.0.0.1", port), handler)
        self.url = f"http://127.0.0.1:{http.server_address[1]}/v1"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            http.shutdown()
            thread.join()
            http.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: ScriptedServer[Any]

    def do_GET(self) -> None:  # http.server's name
        self._serve(b"")

    def do_POST(self) -> None:  # http.server's name
        self._serve(self.rfile.read(int(self.headers["Content-Length"])))

    def _serve(self, body: bytes) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.owner.answered(Received(self.command, self.path, headers, body)) as play:
            self._send(play)

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
