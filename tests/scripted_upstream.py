"""A small OpenAI-compatible HTTP server with fixed behaviour, as a peer that can be looked into."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Message = dict[str, Any]
Answer = Callable[[list[Message]], Iterator[Message]]
"""Gives the deltas of an answer to messages; time may pass between them."""


class Upstream(ThreadingHTTPServer):
    """Answers every chat with `answer`; keeps the messages it was sent and whether the caller hung up."""

    daemon_threads = True

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.asked: list[list[Message]] = []
        self.hung_up = 0

    @property
    def url(self) -> str:
        """Base address for a client."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: Upstream  # pyright: ignore[reportIncompatibleVariableOverride] # the one server it is used with

    def do_GET(self) -> None:
        self._begin("application/json")
        self.wfile.write(json.dumps({"object": "list", "data": [{"id": "scripted", "object": "model"}]}).encode())

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(request["messages"])
        self._begin("text/event-stream")
        reason = "stop"
        try:
            for delta in self.server.answer(request["messages"]):
                reason = "tool_calls" if "tool_calls" in delta else reason
                self._send({"index": 0, "delta": delta, "finish_reason": None})
            self._send({"index": 0, "delta": {}, "finish_reason": reason})
            self.wfile.write(b"data: [DONE]\n\n")
        except (BrokenPipeError, ConnectionResetError):
            self.server.hung_up += 1

    def _begin(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()

    def _send(self, choice: Message) -> None:
        chunk = {
            "id": "1",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": "scripted",
            "choices": [choice],
        }
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # the base class names it so
        """Tests are quiet."""


@contextmanager
def upstream(answer: Answer) -> Generator[Upstream]:
    """An upstream for the time of a block."""
    server = Upstream(answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
