"""The language model's part of a reply: what it writes, and the tools that it waits for.

generation ──► text: cleaned, then said
    ▲    └───► calls ──► the client runs them, all at once ──► results
    └───────────────────────────────────────────────────────────┘ at most so often; then one answer without tools
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.llm.v1 import llm_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.cleaning import Cleaner
from voxmesh_coordinator.durability.history import reply_items
from voxmesh_coordinator.durability.state import pending_calls
from voxmesh_coordinator.reply.ending import End, failure_end, reason_of
from voxmesh_coordinator.reply.language_model import continued
from voxmesh_coordinator.reply.output import ReplyOutput
from voxmesh_coordinator.reply.tools import MAX_CALLS, may_call, own_calls
from voxmesh_coordinator.reply.upstreams import Generated, Served, Written
from voxmesh_routing.failures import ServiceFailed

log = logging.getLogger(__name__)

Response = conversation_pb2.ConverseResponse
Record = session_pb2.Record

RUN_BY_TOOLS = (llm_pb2.Finished.REASON_TOOL_CALLS, llm_pb2.Finished.REASON_STOP)
"""Ends of an answer whose calls are complete; some servers say STOP."""


class Answering:
    """Writes one reply.

    Args:
        output: says it; the words of its turn as they are now are answered.
        saved: what another coordinator did of it.
    """

    def __init__(self, output: ReplyOutput, saved: session_pb2.Reply) -> None:
        self._output, self._parts = output, output.parts
        self._turn, self._said = output.turn, output.turn.words
        self._saved = saved
        self._rounds = list(saved.rounds)
        for earlier in self._rounds:
            for answer in earlier.answers:
                self._parts.tools.was_answered(answer.tool_call_id)
        for call in pending_calls(saved):
            self._parts.tools.expect(call)

    async def write(self) -> End:
        """Write to the end, and say it; gives how it ends."""
        await self._call(pending_calls(self._saved))
        while True:
            can_call = may_call(self._rounds, self._parts.tool_rounds)
            tools = self._parts.tools.tools if can_call else []
            try:
                answer = await self._generate(tools)
            except ServiceFailed as failure:
                return failure_end(failure, has_begun=bool(self._rounds or self._output.playout.text))
            calls = answer.calls if answer.reason in RUN_BY_TOOLS else ()
            if not calls or not tools:
                has_words = bool(self._written().strip())
                reason = reason_of(answer.reason, has_words=has_words, wants_tools=bool(calls) or not can_call)
                return End(reason=reason)
            # A tool may do things in the world: only once the turn is certain.
            await self._output.gate.wait_open()
            await self._use_tools(calls)

    async def _use_tools(self, wanted: Sequence[llm_pb2.ToolCall]) -> None:
        if len(wanted) > MAX_CALLS:
            log.warning("calls are left out of an answer", extra={"called": len(wanted), "most": MAX_CALLS})
        calls = own_calls(wanted, self._turn.metrics.turn_index, self._rounds)
        before = len(self._output.playout.text)
        self._rounds.append(session_pb2.ToolRound(text_characters=before, calls=calls))
        await self._output.note(Record(tool_calls=calls, text_before_calls=before))
        await self._call(calls)

    async def _call(self, calls: Sequence[llm_pb2.ToolCall]) -> None:
        """Have the client run tools, all at once, and wait for their answers."""
        for call in calls:
            asked = Response(tool_call=self._parts.tools.expect(call))
            await self._output.gate.put(lambda asked=asked: asked)
        async with asyncio.TaskGroup() as tasks:
            for call in calls:
                tasks.create_task(self._await_answer(call))

    async def _await_answer(self, call: llm_pb2.ToolCall) -> None:
        answer = await self._parts.tools.answer(call)
        self._rounds[-1].answers.append(answer)
        await self._output.note(Record(tool_answers=[answer]))

    async def _generate(self, tools: Sequence[llm_pb2.Tool]) -> Generated:
        """One answer, said as it is written."""
        cleaner, hop = Cleaner(), None
        async with self._parts.language_model.generate(self._request(tools)) as answers:
            async for event in answers:
                match event:
                    case Served(by, sent_ns):
                        hop = self._output.hop(f"llm/{by.engine}", by.host)
                        hop.sent_ns = sent_ns
                    case Written(text):
                        if hop is not None:
                            hop.output()
                        await self._say_words(cleaner.feed(text))
                    case Generated():
                        await self._say_words(cleaner.flush())
                        if hop is not None:
                            hop.finish(event.timing)
                        return event
        raise AssertionError("an answer that ends is complete, or fails")

    async def _say_words(self, text: str) -> None:
        if not text:
            return
        before = self._output.playout.text
        if self._rounds and len(before) == self._rounds[-1].text_characters and before[-1:].strip() and text.strip():
            # What was said before a tool was called and what is said after it are no one word.
            text = f" {text}"
        await self._output.say(text)

    def _request(self, tools: Sequence[llm_pb2.Tool]) -> llm_pb2.Generate:
        """What the language model is asked: the conversation, and the reply so far."""
        said = [self._said, self._turn.seen] if self._turn.seen else [self._said]
        messages = self._parts.state.history.request(self._parts.system_prompt, said)
        messages += reply_items(self._rounds, self._output.playout.text[: self._answer_start()])
        request = llm_pb2.Generate(messages=messages, tools=tools, trace_context=self._turn.metrics.trace_context)
        return continued(request, self._written())

    def _written(self) -> str:
        """What the language model wrote since its last call of a tool: not the filler, which was said in its place."""
        text, filler = self._output.playout.text, f"{self._parts.filler} "
        is_filled = self._parts.filler_after_s is not None and text.startswith(filler)
        return text[max(self._answer_start(), len(filler) if is_filled else 0) :]

    def _answer_start(self) -> int:
        """Where the text of the answer in progress begins."""
        return self._rounds[-1].text_characters if self._rounds else 0
