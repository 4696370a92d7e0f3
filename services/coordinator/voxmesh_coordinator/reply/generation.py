"""The language model's part of a reply: what it writes, the tools that it waits for, and another try where it breaks.

generation ──► text: cleaned, then said
    ▲    └───► calls ──► the client runs them, all at once ──► results
    └───────────────────────────────────────────────────────────┘ at most so often; then one answer without tools
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.llm.v1 import llm_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.cleaning import Cleaner, cleaned
from voxmesh_coordinator.durability.history import ASSISTANT, USER, History, reply_items
from voxmesh_coordinator.durability.reply_checkpoint import ReplyCheckpoint
from voxmesh_coordinator.reply.ending import End, Reason, is_refusal, reason_of
from voxmesh_coordinator.reply.parts import ReplyParts
from voxmesh_coordinator.reply.playout_gate import PlayoutGate
from voxmesh_coordinator.reply.playout_tracker import PlayoutTracker
from voxmesh_coordinator.reply.tools import MAX_CALLS, may_call, own_calls
from voxmesh_coordinator.reply.user_turn import UserTurn
from voxmesh_routing.call_timing import UpstreamCallTiming
from voxmesh_routing.failures import ServiceFailed

log = logging.getLogger(__name__)

Response = conversation_pb2.ConverseResponse
Record = session_pb2.Record
Say = Callable[[str], Awaitable[None]]
Note = Callable[[Record], Awaitable[None]]
NewHop = Callable[[str, str], UpstreamCallTiming]

MAX_TRIES = 3
"""Backends tried for one generation, and for one reply's speech."""
GO_ON = "Go on exactly where you stopped, and repeat nothing."
"""Asked of a language model that is to finish what another began."""
RUN_BY_TOOLS = (llm_pb2.Finished.REASON_TOOL_CALLS, llm_pb2.Finished.REASON_STOP)
"""Ends of an answer whose calls are complete; some servers say STOP."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the language model, beside its text."""

    calls: Sequence[llm_pb2.ToolCall]
    finished: int
    """`llm.v1.Finished.Reason`."""


class Answering:
    """Writes one reply.

    Args:
        turn: what is answered: its words as they are now.
        history: what was said before it.
        parts: of the session.
        checkpoint: what another coordinator did of it.
        gate: where calls go to the client.
        playout: of the reply; its text is what was written so far.
        say: says a piece of text.
        note: keeps something in its place among what is said.
        new_hop: makes the clock of a hop by service and host.
    """

    def __init__(
        self,
        turn: UserTurn,
        history: History,
        parts: ReplyParts,
        checkpoint: ReplyCheckpoint,
        *,
        gate: PlayoutGate,
        playout: PlayoutTracker,
        say: Say,
        note: Note,
        new_hop: NewHop,
    ) -> None:
        self._turn, self._said = turn, turn.words
        self._history = history
        self._parts = parts
        self._gate = gate
        self._playout = playout
        self._checkpoint = checkpoint
        self._say, self._note, self._hop = say, note, new_hop
        self._rounds = checkpoint.rounds
        for earlier in self._rounds:
            for answer in earlier.answers:
                parts.tools.was_answered(answer.tool_call_id)
        for call in checkpoint.pending():
            parts.tools.expect(call)

    async def write(self, end: End) -> Reason:
        """Write to the end, and say it; gives why it is the end.

        Args:
            end: told if the language model refuses the turn.

        Raises:
            ServiceFailed: the language model refused or broke.
        """
        await self._call(self._checkpoint.pending())
        while True:
            can_call = may_call(self._rounds, self._parts.tool_rounds)
            tools = self._parts.tools.tools if can_call else []
            try:
                answer = await self._generate(tools)
            except ServiceFailed as failure:
                end.is_refused = is_refusal(failure, has_begun=bool(self._rounds or self._playout.text))
                raise
            if not answer.calls or not tools:
                has_words = bool(self._written().strip())
                return reason_of(answer.finished, has_words=has_words, wants_tools=bool(answer.calls) or not can_call)
            # A tool may do things in the world: only once the turn is certain.
            await self._gate.wait_open()
            await self._use_tools(answer.calls)

    async def _use_tools(self, wanted: Sequence[llm_pb2.ToolCall]) -> None:
        if len(wanted) > MAX_CALLS:
            log.warning("calls are left out of an answer", extra={"called": len(wanted), "most": MAX_CALLS})
        calls = own_calls(wanted, self._turn.metrics.turn_index, self._rounds)
        before = len(self._playout.text)
        self._rounds.append(session_pb2.ToolRound(text_characters=before, calls=calls))
        await self._note(Record(tool_calls=calls, text_before_calls=before))
        await self._call(calls)

    async def _call(self, calls: Sequence[llm_pb2.ToolCall]) -> None:
        """Have the client run tools, all at once, and wait for their answers."""
        for call in calls:
            await self._put(Response(tool_call=self._parts.tools.expect(call)))
        async with asyncio.TaskGroup() as tasks:
            for call in calls:
                tasks.create_task(self._await_answer(call))

    async def _await_answer(self, call: llm_pb2.ToolCall) -> None:
        answer = await self._parts.tools.answer(call)
        self._rounds[-1].answers.append(answer)
        await self._note(Record(tool_answers=[answer]))

    async def _generate(self, tools: Sequence[llm_pb2.Tool]) -> Answer:
        """One answer, checkpoint again elsewhere if it breaks."""
        for attempt in range(MAX_TRIES):
            try:
                return await self._generate_once(self._messages(), tools)
            except ServiceFailed as failure:
                if attempt + 1 == MAX_TRIES or not failure.is_worth_another_try:
                    raise
        raise AssertionError("the last try returns or raises")

    async def _generate_once(self, messages: Sequence[llm_pb2.Message], tools: Sequence[llm_pb2.Tool]) -> Answer:
        model, cleaner = self._parts.language_model, Cleaner()
        calls: list[llm_pb2.ToolCall] = []
        # Before the request is sent: what is known of the service's clock rests on it.
        hop = self._hop("llm", "")
        async with model.generate(messages, tools, self._turn.trace_context) as answers:
            hop.served_by(model.link.ready)
            async for answer in answers:
                match answer.WhichOneof("streaming_response"):
                    case "text_delta":
                        hop.output()
                        await self._say_words(cleaner.feed(answer.text_delta.text))
                    case "tool_call":
                        hop.output()
                        calls.append(answer.tool_call.tool_call)
                    case "finished":
                        await self._say_words(cleaner.flush())
                        hop.finish(answer.finished.timing)
                        reason = answer.finished.reason
                        return Answer(calls if reason in RUN_BY_TOOLS else (), reason)
                    case _:
                        pass
        return Answer((), llm_pb2.Finished.REASON_STOP)

    async def _say_words(self, text: str) -> None:
        if not text:
            return
        before = self._playout.text
        if self._rounds and len(before) == self._rounds[-1].text_characters and before[-1:].strip() and text.strip():
            # What was said before a tool was called and what is said after it are no one word.
            text = f" {text}"
        await self._say(text)

    def _messages(self) -> list[llm_pb2.Message]:
        """What the language model is asked: the conversation, and the reply so far."""
        messages = self._history.request(self._parts.system_prompt, self._turn.said_as(self._said))
        messages += reply_items(self._rounds, self._playout.text[: self._answer_start()])
        if written := cleaned(self._written()):
            so_far = llm_pb2.Message(role=ASSISTANT, text=written)
            messages += [so_far, llm_pb2.Message(role=USER, text=GO_ON)] if written.strip() else []
        return messages

    def _written(self) -> str:
        """What the language model wrote since its last call of a tool: not the filler, which was said in its place."""
        text, filler = self._playout.text, f"{self._parts.filler} "
        is_filled = self._parts.filler_after_s is not None and text.startswith(filler)
        return text[max(self._answer_start(), len(filler) if is_filled else 0) :]

    def _answer_start(self) -> int:
        """Where the text of the answer in progress begins."""
        return self._rounds[-1].text_characters if self._rounds else 0

    async def _put(self, response: Response) -> None:
        await self._gate.put(lambda: response)
