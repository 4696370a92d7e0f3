"""Help for tests: a real HTTP server on loopback that answers as OpenAI-compatible servers were seen to do."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from voxmesh_llm_proxy.structs import Json


def text(content: str) -> Json:
    """A delta of an answer's text."""
    return {"content": content}


def fragment(index: int, arguments: str = "", name: str | None = None, call_id: str | None = None) -> Json:
    """A delta with a fragment of a tool call."""
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    return {"tool_calls": [{"index": index, "id": call_id, "type": "function", "function": function}]}


@dataclass(frozen=True, slots=True)
class Play:
    """How one chat completion is answered."""

    deltas: Sequence[Json] = ()
    finish: str | None = "stop"
    """None breaks the connection after the deltas."""
    status: int = 200
    error: Json | None = None
    """Body of the answer when the status is not 200."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    pause_s: float = 0.0
    """Silence before the first delta."""
    gap_s: float = 0.0
    """Silence before each further delta."""


Answer: TypeAlias = Play | Callable[[Json], Play]
"""A play, or what chooses one by the body of the request."""


class RecordedUpstream:
    """Answers each chat completion by the next of `plays`; the last one is played again and again."""

    def __init__(self, models: Sequence[str] | None) -> None:
        self.plays: deque[Answer] = deque([Play([text("Hello")])])
        self.models = models
        """What is listed; None answers 404."""
        self.requests: list[Json] = []
        """Bodies of all chat completions."""
        self.keys: list[str] = []
        """Authorization headers of all requests."""
        self.hang_ups = 0
        """Answers that the client did not wait for."""
        self.url = ""

    def play(self, *plays: Answer) -> None:
        """What to answer from now on; forgets the requests so far."""
        self.plays = deque(plays)
        self.requests.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's one request."""
        try:
            method, body = await self._read(reader)
            if method == "GET":
                self._list_models(writer)
            else:
                self.requests.append(json.loads(body))
                answer = self.plays.popleft() if len(self.plays) > 1 else self.plays[0]
                await self._answer(answer if isinstance(answer, Play) else answer(self.requests[-1]), reader, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            self.hang_ups += 1
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> tuple[str, bytes]:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method = head[0].partition(" ")[0]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        self.keys.append(headers.get("authorization", ""))
        return method, await reader.readexactly(int(headers.get("content-length", "0")))

    def _list_models(self, writer: asyncio.StreamWriter) -> None:
        if self.models is None:
            _write_json(writer, 404, {"error": {"message": "not found"}}, {})
        else:
            data = [{"id": name, "object": "model", "max_model_len": 4096} for name in self.models]
            _write_json(writer, 200, {"object": "list", "data": data}, {})

    async def _answer(self, play: Play, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if play.status != 200:  # noqa: PLR2004 # OK
            _write_json(writer, play.status, play.error or {}, play.headers)
            return
        writer.write(_head(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"}))
        for number, delta in enumerate(play.deltas):
            await _silence(reader, play.gap_s if number else play.pause_s)
            _write_event(writer, _chunk(choices=[{"index": 0, "delta": delta, "finish_reason": None}]))
            await writer.drain()
        if play.finish is None:
            return
        _write_event(writer, _chunk(choices=[{"index": 0, "delta": {}, "finish_reason": play.finish}]))
        usage = {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}}
        _write_event(writer, _chunk(choices=[], usage=usage))
        _write_part(writer, b"data: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")


@asynccontextmanager
async def recorded_upstream(models: Sequence[str] | None = ("big", "small")) -> AsyncGenerator[RecordedUpstream]:
    """A server on a free port of loopback."""
    upstream = RecordedUpstream(models)
    connections: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(upstream.serve(reader, writer))
        connections.add(task)
        task.add_done_callback(connections.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        try:
            yield upstream
        finally:
            for task in connections:
                task.cancel()
            await asyncio.gather(*connections, return_exceptions=True)


async def _silence(reader: asyncio.StreamReader, seconds: float) -> None:
    """Wait; a client that hangs up meanwhile ends the answer."""
    try:
        async with asyncio.timeout(seconds):
            if not await reader.read(1):
                raise ConnectionResetError
    except TimeoutError:
        return


def _chunk(**fields: Any) -> Json:
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "big-0613", **fields}


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} -", "Connection: close", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _write_json(writer: asyncio.StreamWriter, status: int, body: Json, headers: Mapping[str, str]) -> None:
    data = json.dumps(body).encode()
    known = {"Content-Type": "application/json", "Content-Length": str(len(data))}
    writer.write(_head(status, {**known, **headers}) + data)


def _write_event(writer: asyncio.StreamWriter, event: Json) -> None:
    _write_part(writer, f"data: {json.dumps(event)}\n\n".encode())


def _write_part(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
