"""What the language model is told of the conversation so far: only what was said and heard."""

from __future__ import annotations

from collections.abc import Iterable

from voxmesh.llm.v1 import llm_pb2

SYSTEM = llm_pb2.Message.ROLE_SYSTEM
USER = llm_pb2.Message.ROLE_USER
ASSISTANT = llm_pb2.Message.ROLE_ASSISTANT

KEPT_SHARE = 0.5
"""Share of a history that has become too long that is kept: to forget a little in every turn would have the language
model read all of it anew in every turn."""


class History:
    """Messages of a session; beyond `max_characters` the older half of them is forgotten.

    `earlier` is what another coordinator has kept of it.
    """

    def __init__(self, system_prompt: str, max_characters: int, earlier: Iterable[llm_pb2.Message] = ()) -> None:
        self._system = llm_pb2.Message(role=SYSTEM, text=system_prompt)
        self._max_characters = max_characters
        self._messages: list[llm_pb2.Message] = list(earlier)

    @property
    def turns(self) -> list[llm_pb2.Message]:
        """What was said and heard, oldest first, without the system message."""
        return list(self._messages)

    def messages(self, said: Iterable[str] = ()) -> list[llm_pb2.Message]:
        """The system message and the turns that are kept, oldest first, as if the person had `said` more."""
        return [self._system, *self._continued(said)]

    def add_user(self, *said: str) -> None:
        """The person said something; what follows an unanswered message continues it."""
        self._messages = self._continued(said)

    def add_reply(self, text: str) -> None:
        """The person heard this of the reply."""
        if text:
            self._messages.append(llm_pb2.Message(role=ASSISTANT, text=text))

    def cut_reply(self, text: str) -> None:
        """The person heard no more than `text` of the last reply."""
        if self._messages and self._messages[-1].role == ASSISTANT:
            self._messages.pop()
        self.add_reply(text)

    def _continued(self, said: Iterable[str]) -> list[llm_pb2.Message]:
        messages = list(self._messages)
        for text in said:
            earlier = f"{messages.pop().text} " if messages and messages[-1].role == USER else ""
            messages.append(llm_pb2.Message(role=USER, text=earlier + text))
        if _length(messages) > self._max_characters:
            _forget_oldest(messages, round(KEPT_SHARE * self._max_characters))
        return messages


def _forget_oldest(messages: list[llm_pb2.Message], max_characters: int) -> None:
    """Leave out the oldest turns, whole, but never the last message."""
    while len(messages) > 1 and _length(messages) > max_characters:
        del messages[0]
        while len(messages) > 1 and messages[0].role != USER:
            del messages[0]


def _length(messages: Iterable[llm_pb2.Message]) -> int:
    return sum(len(message.text) for message in messages)
