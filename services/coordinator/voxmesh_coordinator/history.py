"""What the language model is told of the conversation so far: only what was said and heard."""

from __future__ import annotations

from voxmesh.llm.v1 import llm_pb2

SYSTEM = llm_pb2.Message.ROLE_SYSTEM
USER = llm_pb2.Message.ROLE_USER
ASSISTANT = llm_pb2.Message.ROLE_ASSISTANT


class History:
    """Messages of a session; the oldest turns are forgotten beyond `max_characters`."""

    def __init__(self, system_prompt: str, max_characters: int) -> None:
        self._system = llm_pb2.Message(role=SYSTEM, text=system_prompt)
        self._max_characters = max_characters
        self._messages: list[llm_pb2.Message] = []

    def messages(self) -> list[llm_pb2.Message]:
        """The system message and the turns that are kept, oldest first."""
        return [self._system, *self._messages]

    def add_user(self, text: str) -> None:
        """The person said something; what follows an unanswered message continues it."""
        if self._messages and self._messages[-1].role == USER:
            text = f"{self._messages.pop().text} {text}"
        self._messages.append(llm_pb2.Message(role=USER, text=text))
        self._forget_oldest()

    def drop_user(self) -> None:
        """Take back the last message, which the language model refused."""
        if self._messages and self._messages[-1].role == USER:
            self._messages.pop()

    def add_reply(self, text: str) -> None:
        """The person heard this of the reply."""
        if text:
            self._messages.append(llm_pb2.Message(role=ASSISTANT, text=text))

    def cut_reply(self, text: str) -> None:
        """The person heard no more than `text` of the last reply."""
        if self._messages and self._messages[-1].role == ASSISTANT:
            self._messages.pop()
        self.add_reply(text)

    def _forget_oldest(self) -> None:
        while len(self._messages) > 1 and sum(len(message.text) for message in self._messages) > self._max_characters:
            del self._messages[0]
            while len(self._messages) > 1 and self._messages[0].role != USER:
                del self._messages[0]
