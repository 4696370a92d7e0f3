"""Cut a conversation that is too long for a model's context, at the beginning of a turn and seldom.

What is kept begins at the same message for many turns, so that the upstream finds it in its cache: a cut makes
more room than the turn needs, and the next one comes only when that is used up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from voxmesh.llm.v1 import llm_pb2

MARK_TOKENS = 8
"""What a template puts around a message, at most."""
IMAGE_TOKENS = 1200
_KEPT = 0.75
"""Share of the room that is filled after a cut."""

Message = llm_pb2.Message
Count = Callable[[Sequence[str]], Awaitable[list[int]]]
"""Tokens of texts."""


@dataclass(slots=True)
class History:
    """What is remembered of one stream's conversation."""

    start: int = 0
    """The first message that was kept after those of the system; 0 while nothing was cut."""
    known_messages: int = 0
    """So many messages, from the first, counted"""
    known_tokens: int = 0
    """so many tokens at the upstream."""
    known_last: llm_pb2.Message | None = None
    """The last of them, by which a conversation that goes on is told from another one."""

    def learn(self, generate: llm_pb2.Generate, input_tokens: int) -> None:
        """Remember what a conversation that was sent whole counted."""
        if input_tokens and not self.start:
            self.known_messages, self.known_tokens = len(generate.messages), input_tokens
            self.known_last = generate.messages[-1]

    def goes_on(self, messages: Sequence[llm_pb2.Message]) -> bool:
        """True for a conversation that begins with those that are known."""
        count = self.known_messages
        return 0 < count <= len(messages) and messages[count - 1] == self.known_last


async def fitted(generate: llm_pb2.Generate, room: int, count: Count, history: History) -> tuple[llm_pb2.Generate, int]:
    """A conversation with as many messages as `room` tokens hold, and the number of those left out.

    The system's messages and the last turn stay, whatever they count.

    Args:
        generate: has passed validation.
        room: tokens for messages and tools.
        count: asked only where the number of bytes leaves a doubt.
        history: of the stream; learns where it was cut.
    """
    if _at_most(generate, history) <= room:
        history.start = 0
        return generate, 0
    messages = generate.messages
    texts = await count([*map(_text, messages), *(str(tool) for tool in generate.tools)])
    costs = [tokens + MARK_TOKENS + IMAGE_TOKENS * len(m.images) for tokens, m in zip(texts, messages, strict=False)]
    first = _systems(messages)
    start = cut(messages, costs, room - sum(texts[len(messages) :]), history.start)
    history.start = start if start > first else 0
    if start <= first:
        return generate, 0
    kept = llm_pb2.Generate(
        messages=[*messages[:first], *messages[start:]], tools=generate.tools, trace_context=generate.trace_context
    )
    return kept, start - first


def cut(messages: Sequence[llm_pb2.Message], costs: Sequence[int], room: float, before: int = 0) -> int:
    """The first message to keep after those of the system.

    Args:
        messages: of the conversation.
        costs: tokens of each.
        room: tokens for all.
        before: where it was cut the last time; kept while that is enough.
    """
    first = _systems(messages)

    def size(start: int) -> int:
        return sum(costs[:first]) + sum(costs[start:])

    turns = [place for place in range(first, len(messages)) if messages[place].role == Message.ROLE_USER]
    if size(first) <= room or not turns:
        return first
    if before in turns and size(before) <= room:
        return before
    return next((place for place in turns if size(place) <= _KEPT * room), turns[-1])


def _at_most(generate: llm_pb2.Generate, history: History) -> int:
    """Tokens that a conversation cannot exceed: none is shorter than a byte."""
    known = history.known_messages if history.goes_on(generate.messages) else 0
    unknown = generate.messages[known:]
    tools = 0 if known else sum(tool.ByteSize() for tool in generate.tools)
    size = sum(
        len(_text(each).encode(errors="replace")) + MARK_TOKENS + IMAGE_TOKENS * len(each.images) for each in unknown
    )
    return size + tools + (history.known_tokens if known else 0)


def _text(message: llm_pb2.Message) -> str:
    return message.text + "".join(f"{call.name} {call.arguments_json}" for call in message.tool_calls)


def _systems(messages: Sequence[llm_pb2.Message]) -> int:
    return next((place for place, each in enumerate(messages) if each.role != Message.ROLE_SYSTEM), len(messages))
