"""Requests to the server: the models that it lists, and one answer while it is written."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from voxmesh_runtime.chat.events import Event
from voxmesh_runtime.chat.reading import AnswerReader
from voxmesh_runtime.errors import Unavailable
from voxmesh_runtime.http_upstream import HttpUpstream, kind_of_body, whole_body
from voxmesh_runtime.upstreams import ServerFailure, quoted_reason
from voxmesh_vlm_openai_vision.failures import of_complaint
from voxmesh_vlm_openai_vision.messages import Question
from voxmesh_vlm_openai_vision.settings import OpenAiVisionSettings

_MOST_CHARACTERS = 4 * 1024 * 1024
"""No answer within its limit of tokens comes near it."""


@dataclass(frozen=True, slots=True)
class Way:
    """What the server takes beside the essentials."""

    json_schema: bool
    """`response_format` with a schema."""
    template_fields: bool
    """`chat_template_kwargs`, which keep the model from thinking."""


class Server:
    """One address with one model; used on one event loop."""

    def __init__(self, settings: OpenAiVisionSettings) -> None:
        self.model = ""
        self.way = Way(json_schema=settings.json_schema, template_fields=not settings.thinking)
        self._settings = settings
        self._http = HttpUpstream(
            settings.base_url, settings.api_key, settings.connect_timeout_s, settings.max_concurrent_requests + 1
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def models(self) -> tuple[str, ...]:
        """The models that the server lists.

        Raises:
            ServerFailure: it does not answer, or has no list.
        """
        return await self._http.models()

    async def answer(self, question: Question, way: Way | None = None) -> AsyncGenerator[Event]:
        """The events of an answer; closing the generator closes the connection.

        Raises:
            ServerFailure: there is none, or no more.
        """
        async with self._http.answered("POST", "/chat/completions", json=self.body(question, way)) as response:
            kind = kind_of_body(response)
            if kind != "text/event-stream" and "json" not in kind:
                quote = quoted_reason(await whole_body(response), self._settings.api_key)
                raise ServerFailure(f"the server answered {kind} that is no answer of a model", quote=quote)
            reader, is_over, characters = AnswerReader(kind), False, 0
            async for events in _read(reader, response.aiter_bytes()):
                for event in events:
                    if event.complaint is not None:
                        raise of_complaint(event.complaint, self._settings.api_key)
                    is_over = is_over or event.is_end or bool(event.finish)
                    characters += len(event.text) + len(event.reasoning)
                    yield event
                if characters > _MOST_CHARACTERS:
                    raise ServerFailure(f"the server wrote more than {_MOST_CHARACTERS} characters")
            if not is_over:
                raise ServerFailure("the answer broke off", is_transient=True)

    def body(self, question: Question, way: Way | None = None) -> dict[str, Any]:
        """A request; `way` None takes what the server was seen to take."""
        way = way or self.way
        body: dict[str, Any] = {"model": self.model, "messages": list(question.messages), "stream": True}
        body["max_tokens"] = question.max_tokens
        if way.template_fields:
            body["chat_template_kwargs"] = {"enable_thinking": False}
        body |= self._settings.extra_fields
        if question.is_exact:
            body["temperature"] = 0
        if question.schema is not None and way.json_schema:
            schema = {"name": "answer", "schema": question.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body


async def _read(reader: AnswerReader, chunks: Any) -> AsyncGenerator[list[Event]]:
    try:
        async for chunk in chunks:
            yield reader.feed(chunk)
        yield reader.end()
    except Unavailable as error:
        raise ServerFailure(error.message) from None
