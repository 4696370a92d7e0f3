"""Help for tests: a real HTTP server on loopback that answers as OpenAI-compatible servers were seen to do."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from voxmesh.llm.v1 import llm_pb2
from voxmesh_llm_proxy.answer import Answer
from voxmesh_llm_proxy.upstream_errors import Asked, in_mid_answer
from voxmesh_runtime.chat.reading import AnswerReader
from voxmesh_runtime.structs import Json


def text(content: str) -> Json:
    """A delta of an answer's text."""
    return {"content": content}


def fragment(index: int, arguments: str = "", name: str | None = None, call_id: str | None = None) -> Json:
    """A delta with a fragment of a tool call."""
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    return {"tool_calls": [{"index": index, "id": call_id, "type": "function", "function": function}]}


def event(body: object) -> bytes:
    """Anything as a server-sent event."""
    return f"data: {json.dumps(body)}\n\n".encode()


def chunk(delta: object, finish: object = None) -> bytes:
    """A chunk of a completion whose choice holds `delta`, as a server-sent event."""
    return event(_chunk(choices=[{"index": 0, "delta": delta, "finish_reason": finish}]))


DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Play:
    """How one chat completion is answered."""

    deltas: Sequence[Json] = ()
    finish: str | None = "stop"
    """None breaks the connection after the deltas."""
    status: int = 200
    error: object = None
    """Body of the answer when the status is not 200; bytes are sent as they are."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    pause_s: float = 0.0
    """Silence before the first delta."""
    gap_s: float = 0.0
    """Silence before each further delta."""
    raw: Sequence[bytes] | None = None
    """Pieces of the body, sent as they are instead of deltas and their end."""
    content_type: str = "text/event-stream"
    cut: bool = False
    """Break the connection after `raw`."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the bytes of one answer say to a caller."""

    text: str
    thoughts: str
    calls: list[llm_pb2.ToolCall]
    reason: str
    """Name of the reason, without its prefix."""
    usage: llm_pb2.Usage
    model: str


def told_by(*pieces: bytes, tools: Sequence[str] = (), content_type: str = "text/event-stream") -> Told:
    """What bytes that come in these pieces say, without any server.

    Raises:
        VoxmeshError: as a generation.
    """
    reader, answer, responses = (
        AnswerReader(content_type),
        Answer(0, tools, thinking=True),
        list[llm_pb2.StreamingGenerateResponse](),
    )
    for events in (*map(reader.feed, pieces), reader.end()):
        for found in events:
            if found.complaint is not None:
                raise in_mid_answer(found.complaint, Asked("big", "http://upstream/v1"))
            responses.extend(answer.feed(found))
    responses.extend(answer.end())
    return Told(
        text="".join(response.text_delta.text for response in responses),
        thoughts="".join(response.reasoning_delta.text for response in responses),
        calls=[response.tool_call.tool_call for response in responses if response.HasField("tool_call")],
        reason=llm_pb2.Finished.Reason.Name(answer.reason()).removeprefix("REASON_"),
        usage=answer.usage(),
        model=answer.model,
    )


Scripted: TypeAlias = Play | Callable[[Json], Play]
"""A play, or what chooses one by the body of the request."""


@dataclass(frozen=True, slots=True)
class ServerKind:
    """Which requests a kind of server takes, by its documents."""

    fields: frozenset[str]
    """Fields of a chat completion that it knows."""
    refuses: bool
    """It refuses others; otherwise it takes no notice of them."""
    listed: Mapping[str, Any]
    """What its list of models tells of one, besides the id."""
    text_field: str = ""
    """Field of the text in a request to /tokenize; empty where it has no tokenizer."""


_OF_ALL = frozenset(
    {
        *("model", "messages", "stream", "stream_options", "temperature", "top_p", "presence_penalty", "stop", "seed"),
        *("frequency_penalty", "response_format", "tools", "reasoning_effort"),
    }
)
KINDS = {
    "llama_cpp": ServerKind(
        _OF_ALL | {"max_tokens", "top_k", "chat_template_kwargs", "cache_prompt", "id_slot"},
        refuses=False,
        listed={"object": "model", "owned_by": "llamacpp", "meta": {"n_ctx": 4096}},
        text_field="content",
    ),
    "vllm": ServerKind(
        _OF_ALL | {"max_tokens", "top_k", "chat_template_kwargs"},
        refuses=False,
        listed={"object": "model", "owned_by": "vllm", "root": "m", "parent": None, "max_model_len": 4096},
        text_field="prompt",
    ),
    "ollama": ServerKind(_OF_ALL | {"max_tokens"}, refuses=False, listed={"object": "model", "owned_by": "library"}),
    "openai": ServerKind(
        _OF_ALL | {"max_completion_tokens"}, refuses=True, listed={"object": "model", "owned_by": "system"}
    ),
}
"""The kinds that `voxmesh_llm_proxy.shapes` knows."""


class RecordedUpstream:
    """Answers each chat completion by the next of `plays`; the last one is played again and again."""

    def __init__(self, models: Sequence[str] | None) -> None:
        self.plays: deque[Scripted] = deque([Play([text("Hello")])])
        self.models = models
        """What is listed; None answers 404."""
        self.listed: object = None
        """Body of the list instead of `models`, as it is."""
        self.requests: list[Json] = []
        """Bodies of all chat completions."""
        self.keys: list[str] = []
        """Authorization headers of all requests."""
        self.kind: ServerKind | None = None
        """What it takes and tells; None takes everything."""
        self.counted: list[str] = []
        """Texts whose tokens were asked for; each word is one."""
        self.keeps_alive = False
        """It answers more than one chat completion on a connection."""
        self.forgets_connections = False
        """It hangs up on a request for which a connection is used again."""
        self.connections = 0
        self.is_down = False
        """It hangs up on everybody."""
        self.hang_ups = 0
        """Answers that the client did not wait for."""
        self.url = ""

    def play(self, *plays: Scripted) -> None:
        """What to answer from now on; forgets the requests so far."""
        self.plays = deque(plays)
        self.requests.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection, one unless it is kept."""
        self.connections += 1
        try:
            while await self._serve_one(reader, writer) and self.keeps_alive:
                if self.forgets_connections:
                    await self._read(reader)
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            self.hang_ups += 1
        finally:
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; true when the connection may be used again."""
        if self.is_down:
            return False
        method, path, body = await self._read(reader)
        is_chat = method != "GET" and path != "/tokenize"
        if method == "GET":
            self._list_models(writer)
        elif not is_chat:
            self._tokenize(writer, json.loads(body))
        else:
            self.requests.append(json.loads(body))
            await self._answer(self._next_play(), reader, writer)
        await writer.drain()
        return is_chat

    @property
    def _kept(self) -> Mapping[str, str]:
        return {"Connection": "keep-alive"} if self.keeps_alive else {}

    def _next_play(self) -> Play:
        body = self.requests[-1]
        unknown = body.keys() - self.kind.fields if self.kind is not None and self.kind.refuses else set[str]()
        if unknown:
            message = f"Unrecognized request argument supplied: {min(unknown)}"
            return Play(status=400, error={"error": {"message": message, "type": "invalid_request_error"}})
        answer = self.plays.popleft() if len(self.plays) > 1 else self.plays[0]
        return answer if isinstance(answer, Play) else answer(body)

    def _tokenize(self, writer: asyncio.StreamWriter, body: Json) -> None:
        field = self.kind.text_field if self.kind is not None else ""
        if not field:
            _write_json(writer, 404, {"error": {"message": "not found"}}, {})
            return
        self.counted.append(body[field])
        tokens = list(range(len(body[field].split())))
        counts = {"count": len(tokens), "max_model_len": 4096} if field == "prompt" else {}
        _write_json(writer, 200, {**counts, "tokens": tokens}, {})

    async def _read(self, reader: asyncio.StreamReader) -> tuple[str, str, bytes]:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        self.keys.append(headers.get("authorization", ""))
        return method, path, await reader.readexactly(int(headers.get("content-length", "0")))

    def _list_models(self, writer: asyncio.StreamWriter) -> None:
        if self.listed is not None:
            _write_json(writer, 200, self.listed, {})
        elif self.models is None:
            _write_json(writer, 404, {"error": {"message": "not found"}}, {})
        else:
            told = {"object": "model", "max_model_len": 4096} if self.kind is None else self.kind.listed
            data = [{"id": name, **told} for name in self.models]
            _write_json(writer, 200, {"object": "list", "data": data}, {})

    async def _answer(self, play: Play, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if play.status != 200:  # OK
            _write_json(writer, play.status, {} if play.error is None else play.error, play.headers)
            return
        writer.write(_head(200, {**self._kept, "Content-Type": play.content_type, "Transfer-Encoding": "chunked"}))
        if play.raw is not None:
            await self._answer_raw(play, reader, writer)
            return
        for number, delta in enumerate(play.deltas):
            await _silence(reader, play.gap_s if number else play.pause_s)
            _write_part(writer, chunk(delta))
            await writer.drain()
        if play.finish is None:
            return
        _write_part(writer, chunk({}, play.finish))
        usage = {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}}
        _write_part(writer, event(_chunk(choices=[], usage=usage)))
        _write_part(writer, DONE)
        writer.write(b"0\r\n\r\n")

    async def _answer_raw(self, play: Play, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number, piece in enumerate(play.raw or ()):
            await _silence(reader, play.gap_s if number else play.pause_s)
            _write_part(writer, piece)
            await writer.drain()
        if not play.cut:
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
    told = {"Connection": "close", **headers}
    lines = [f"HTTP/1.1 {status} -", *(f"{name}: {value}" for name, value in told.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _write_json(writer: asyncio.StreamWriter, status: int, body: object, headers: Mapping[str, str]) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    known = {"Content-Type": "application/json", "Content-Length": str(len(data))}
    writer.write(_head(status, {**known, **headers}) + data)


def _write_part(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
