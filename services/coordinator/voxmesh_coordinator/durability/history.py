"""What the language model is told of the conversation: the one rule by which a turn's parts become messages.

    user        what was said, and what pictures show; unanswered words are continued by the next
    assistant   text before calls beside the calls ──► tool: a result for each call, whatever became of it
    assistant   the text after the last result, as far as it was heard

All of it is cleaned when it enters, so that nothing in here is ever refused; what has no word is no message. Not in
here: the operator's line at the end of a reply, which the model did not write, and words that the model refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableSequence, Sequence

from voxmesh.llm.v1 import llm_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.cleaning import arguments_json, cleaned, cleaned_call

Message = llm_pb2.Message
SYSTEM, USER, ASSISTANT, TOOL = Message.ROLE_SYSTEM, Message.ROLE_USER, Message.ROLE_ASSISTANT, Message.ROLE_TOOL

KEPT_SHARE = 0.5
"""Share of a history that has become too long that is kept: to forget a little in every turn would have the language
model read all of it anew in every turn."""
RESULTS_SHARE = 0.25
"""Share of the history that the tool results of one turn may take once the turn is over, so that a large result does
not push out the turn it belongs to; the longest are cut. The turn itself reads them whole."""
MAX_MESSAGES = 400
"""The longest history in messages; services take 1,000, those of the turn in progress among them."""
WORDLESS = "…"
"""Stands for words of which cleaning left none."""
INTERRUPTED = "error: interrupted before the tool answered"
"""Result of a call whose own did not come while the turn lasted."""


class History:
    """The messages of a session, oldest first, without the system message.

    Args:
        max_characters: beyond it the older half is forgotten, in whole turns.
        messages: where they stand; a list of its own by default.
    """

    def __init__(self, max_characters: int, messages: MutableSequence[Message] | None = None) -> None:
        self._max_characters = max_characters
        self._messages: MutableSequence[Message] = [] if messages is None else messages

    @property
    def items(self) -> list[Message]:
        """All messages that are kept."""
        return list(self._messages)

    def request(self, system_prompt: str, said: Iterable[str] = ()) -> list[Message]:
        """What a language model is asked when the person has `said` this, word by word as it came."""
        system = [Message(role=SYSTEM, text=system_prompt)] if system_prompt.strip() else []
        return [*system, *self._continued(" ".join(said))]

    def add(self, reply: session_pb2.Reply) -> None:
        """A turn is over."""
        if not reply.end.is_refused:
            words = cleaned(" ".join(said_in(reply)))
            self._replace([*self._continued(words if words.strip() else WORDLESS), *self._items_of(reply)])

    def cut(self, reply: session_pb2.Reply, heard: str) -> None:
        """Of the reply of the turn added last no more than this was heard."""
        whole = len(self._items_of(reply))
        del self._messages[len(self._messages) - whole :]
        self._messages.extend(self._items_of(reply, heard))

    def _replace(self, messages: Sequence[Message]) -> None:
        kept = session_pb2.State(history=messages)
        del self._messages[:]
        self._messages.extend(kept.history)

    def _items_of(self, reply: session_pb2.Reply, heard: str | None = None) -> list[Message]:
        text = reply.text[: reply.text_characters] if reply.HasField("text_characters") else reply.text
        if heard is None and reply.HasField("heard_text"):
            heard = reply.heard_text
        items = reply_items(reply.rounds, text, heard)
        _cap_results(items, round(RESULTS_SHARE * self._max_characters))
        return items

    def _continued(self, words: str) -> list[Message]:
        messages = list(self._messages)
        if words:
            if messages and messages[-1].role == USER:
                joined = _joined(messages.pop().text, words, self._max_characters)
                # Two halves of a mark are no refused words; what is one by itself is for the model to refuse.
                words = cleaned(joined) if words == cleaned(words) else joined
            messages.append(Message(role=USER, text=words))
        _forget_oldest(messages, self._max_characters)
        return messages


def said_in(reply: session_pb2.Reply) -> list[str]:
    """What the person said in the turn of a reply, and what their pictures show."""
    return [reply.said, reply.seen] if reply.seen else [reply.said]


def reply_items(rounds: Sequence[session_pb2.ToolRound], text: str, heard: str | None = None) -> list[Message]:
    """The messages of a reply.

    Args:
        rounds: the times that it waited for tools.
        text: what the language model wrote, before, between and after them.
        heard: what the person heard of that; None for all of it.
    """
    end = len(text) if heard is None else _heard_end(text, heard)
    items: list[Message] = []
    begin = 0
    for each in rounds:
        items += _round_items(each, text[begin : min(end, each.text_characters)])
        begin = each.text_characters
    if last := _words(text[begin:end]):
        items.append(Message(role=ASSISTANT, text=last))
    return items


def _round_items(tool_round: session_pb2.ToolRound, text: str) -> Iterator[Message]:
    calls = [cleaned_call(call) for call in tool_round.calls]
    yield Message(role=ASSISTANT, text=_words(text), tool_calls=calls)
    answers = {answer.tool_call_id: answer.text for answer in tool_round.answers}
    for call in calls:
        result = cleaned(answers.get(call.call_id, INTERRUPTED))
        yield Message(role=TOOL, text=result, tool_call_id=call.call_id)


def _words(text: str) -> str:
    return cleaned(text).strip()


def _heard_end(text: str, heard: str) -> int:
    """Characters of `text` up to the end of what was heard, which is its beginning without white space around it."""
    return len(text) - len(text.lstrip()) + len(heard) if heard else 0


def _joined(earlier: str, words: str, max_characters: int) -> str:
    """Words after those that nobody answered, of which the newest are kept."""
    room = max_characters - len(words)
    if len(earlier) > room:
        earlier = earlier[len(earlier) - room :].partition(" ")[2] if room > 0 else ""
    return f"{earlier} {words}" if earlier else words


def _cap_results(items: Sequence[Message], max_characters: int) -> None:
    """Cut the longest tool results so that all of them together have no more characters."""
    results = sorted((item for item in items if item.role == TOOL), key=lambda item: len(item.text))
    room = max_characters
    for index, item in enumerate(results):
        share = room // (len(results) - index)
        if len(item.text) > share:
            item.text = f"{item.text[: max(0, share - 1)]}…"
        room -= len(item.text)


def _forget_oldest(messages: list[Message], max_characters: int) -> None:
    """Leave out the older half of messages that are too many; a turn goes as a whole, the person's words first."""
    if _fits(messages, max_characters, MAX_MESSAGES):
        return
    begins = [index for index, message in enumerate(messages) if message.role == USER]
    kept = round(KEPT_SHARE * max_characters)
    halves = (begin for begin in begins if _fits(messages[begin:], kept, round(KEPT_SHARE * MAX_MESSAGES)))
    begin = next(halves, begins[-1] if begins else len(messages))
    # What was said last is never forgotten, nor, while there is room, is the turn before, which it may be about.
    for before in begins[-2:-1]:
        if _fits(messages[before:], max_characters, MAX_MESSAGES):
            begin = min(begin, before)
    del messages[:begin]


def _fits(messages: Sequence[Message], max_characters: int, max_messages: int) -> bool:
    return len(messages) <= max_messages and sum(map(_length, messages)) <= max_characters


def _length(message: Message) -> int:
    return len(message.text) + sum(len(call.name) + len(arguments_json(call)) for call in message.tool_calls)
