"""How one reply is written: rounds of tools, and what a language model service may do in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager

import grpc
import pytest

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.llm.v1 import llm_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.durability.history import ASSISTANT, TOOL, USER
from voxmesh_coordinator.durability.state import ReplyFinished, SessionState
from voxmesh_coordinator.reply.generation import Answering
from voxmesh_coordinator.reply.language_model import GO_ON, continued
from voxmesh_coordinator.reply.output import ReplyOutput
from voxmesh_coordinator.reply.parts import ReplyParts
from voxmesh_coordinator.reply.playout_gate import PlayoutGate
from voxmesh_coordinator.reply.sent_audio import SentAudio
from voxmesh_coordinator.reply.tools import MAX_CALLS, ToolCallTracker
from voxmesh_coordinator.reply.upstreams import Generated, GenerationEvent, Served, Written
from voxmesh_coordinator.reply.user_turn import UserTurn
from voxmesh_llm_proxy.validation import check_generate
from voxmesh_routing.failures import ServiceFailed
from voxmesh_runtime.audio import AudioFormat
from voxmesh_testing.streams import wait_until

pytestmark = pytest.mark.unit

Reasons = llm_pb2.Finished
Step = Written | llm_pb2.ToolCall | int | ServiceFailed
GONE = ServiceFailed("llm at x", grpc.StatusCode.UNAVAILABLE, "gone")
REFUSED = ServiceFailed("llm at x", grpc.StatusCode.INVALID_ARGUMENT, "a mark")


def call(call_id: str = "book:0", name: str = "book") -> llm_pb2.ToolCall:
    return llm_pb2.ToolCall(call_id=call_id, name=name, arguments_json='{"seats": 17}', upstream_state=b"\xff")


TOWER = llm_pb2.Generate(messages=[llm_pb2.Message(role=USER, text="Where is the tower?")])
STOP, CALLED = Reasons.REASON_STOP, Reasons.REASON_TOOL_CALLS


def without_state(generate: llm_pb2.Generate) -> llm_pb2.Generate:
    """A request without what only the service that sent it can judge."""
    plain = llm_pb2.Generate()
    plain.CopyFrom(generate)
    for message in plain.messages:
        for each in message.tool_calls:
            each.ClearField("upstream_state")
    return plain


class Model:
    """A `LanguageModel` that answers by a script, one list a request; requests are checked as the real service's."""

    def __init__(self, *script: Sequence[Step]) -> None:
        self.script = list(script)
        self.requests: list[llm_pb2.Generate] = []

    @asynccontextmanager
    async def generate(self, request: llm_pb2.Generate) -> AsyncGenerator[AsyncIterator[GenerationEvent]]:
        self.requests.append(request)
        check_generate(without_state(request))
        yield self._answers(self.script.pop(0))

    def prefill(self, request: llm_pb2.Generate) -> None:
        raise NotImplementedError

    async def _answers(self, steps: Sequence[Step]) -> AsyncIterator[GenerationEvent]:
        yield Served(common_pb2.Ready(), 1)
        calls: list[llm_pb2.ToolCall] = []
        for step in steps:
            match step:
                case ServiceFailed():
                    raise step
                case Written():
                    yield step
                case llm_pb2.ToolCall():
                    calls.append(step)
                case reason:
                    yield Generated(calls, reason, common_pb2.Timing())


class Scene:
    """One reply, its client and what is kept of it."""

    def __init__(self, *script: Sequence[Step], saved: session_pb2.Reply | None = None, tool_rounds: int = 4) -> None:
        self.model = Model(*script)
        self.desk = ToolCallTracker([conversation_pb2.Tool(name="book")], 60.0)
        self.notes: list[session_pb2.Record] = []
        self.calls: list[conversation_pb2.ToolCall] = []
        self.answers = True
        parts = ReplyParts(
            self.model,
            None,
            SessionState(session_pb2.State(), 4000),
            SentAudio(AudioFormat()),
            self.desk,
            system_prompt="Be kind.",
            tool_rounds=tool_rounds,
            filler="",
            filler_after_s=None,
            note=self.notes.append,
            writable=self._writable,
            line=lambda _: "",
            streams=(),
        )
        turn = UserTurn("Book it.")
        turn.metrics.turn_index = 3
        saved = saved or session_pb2.Reply()
        gate = PlayoutGate(self._send, self._writable)
        gate.open()
        output = ReplyOutput(turn, parts, gate, saved)
        self.playout = output.playout
        self.answering = Answering(output, saved)

    async def write(self) -> ReplyFinished.Reason.ValueType:
        return (await self.answering.write()).reason

    @property
    def answered(self) -> list[str]:
        """The calls whose results are kept, in that order."""
        return [answer.tool_call_id for record in self.notes for answer in record.tool_answers]

    async def _writable(self) -> None:
        """There is always room."""

    def _send(self, response: conversation_pb2.ConverseResponse) -> None:
        if not response.HasField("tool_call"):
            return
        self.calls.append(response.tool_call)
        if self.answers:
            self.give(response.tool_call.call_id, "booked")

    def give(self, call_id: str, content: str) -> None:
        self.desk.result(conversation_pb2.ToolResult(call_id=call_id, content=content))

    def roles(self, number: int = -1) -> list[int]:
        return [message.role for message in self.model.requests[number].messages[1:]]


async def test_c3_equal_ids_are_told_apart_and_what_the_upstream_needs_comes_back() -> None:
    scene = Scene([call(), call(), CALLED], [call(), CALLED], [Written("Done."), STOP])
    assert await scene.write() == ReplyFinished.REASON_COMPLETED
    assert [each.call_id for each in scene.calls] == ["call_3_0", "call_3_1", "call_3_2"]
    assert {each.arguments_json for each in scene.calls} == {'{"seats": 17}'}
    assert scene.roles() == [USER, ASSISTANT, TOOL, TOOL, ASSISTANT, TOOL]
    assert {each.upstream_state for message in scene.model.requests[-1].messages for each in message.tool_calls} == {
        b"\xff"
    }


async def test_c3_a_replica_numbers_its_calls_on() -> None:
    first = session_pb2.ToolRound(
        calls=[llm_pb2.ToolCall(call_id="call_3_0", name="book")],
        answers=[llm_pb2.Message(role=TOOL, text="booked", tool_call_id="call_3_0")],
    )
    scene = Scene([call(), CALLED], [Written("Done."), STOP], saved=session_pb2.Reply(said="Book it.", rounds=[first]))
    await scene.write()
    assert [each.call_id for each in scene.calls] == ["call_3_1"]


async def test_c6_the_calls_of_a_round_wait_at_the_same_time() -> None:
    ids = ("call_3_0", "call_3_1", "call_3_2")
    scene = Scene([call(), call(), call(), CALLED], [Written("Done."), STOP])
    scene.answers = False
    writing = asyncio.create_task(scene.write())
    await wait_until(lambda: len(scene.calls) == len(ids))
    for count, call_id in enumerate(reversed(ids), 1):
        scene.give(call_id, "booked")
        # In another order than they were asked: each is taken as it comes.
        await wait_until(lambda count=count: len(scene.answered) == count)
    await writing
    assert scene.answered == list(reversed(ids))
    results = [message.tool_call_id for message in scene.model.requests[-1].messages if message.role == TOOL]
    assert results == list(ids)


LASTS = {
    "C6 it answers": ([Written("Done."), STOP], ReplyFinished.REASON_COMPLETED),
    "C6 it asks once more all the same": ([call(), CALLED], ReplyFinished.REASON_TOOL_CALLS),
    "C6 it says nothing": ([Written(" \n"), STOP], ReplyFinished.REASON_TOOL_CALLS),
    "C6 it answers and asks": ([Written("Done."), call(), CALLED], ReplyFinished.REASON_COMPLETED),
    "C7 it is filtered": ([Reasons.REASON_CONTENT_FILTER], ReplyFinished.REASON_CONTENT_FILTER),
    "C7 its thoughts are too long": ([Reasons.REASON_LENGTH], ReplyFinished.REASON_LENGTH),
}


@pytest.mark.parametrize("case", LASTS)
async def test_after_the_last_round_an_answer_without_tools_is_asked(case: str) -> None:
    last, reason = LASTS[case]
    scene = Scene([call(), CALLED], [call(), CALLED], last, tool_rounds=2)
    assert await scene.write() == reason
    assert [bool(request.tools) for request in scene.model.requests] == [True, True, False]
    assert len(scene.calls) == 2


async def test_calls_are_made_though_the_upstream_says_stop() -> None:
    scene = Scene([call(), STOP], [Written("Done."), STOP])
    await scene.write()
    assert len(scene.calls) == 1


async def test_c5_text_before_a_call_is_no_one_word_with_what_follows() -> None:
    scene = Scene([Written("Let me check."), call(), CALLED], [Written("It is"), Written(" free."), STOP])
    await scene.write()
    assert scene.playout.text == "Let me check. It is free."
    assert [message.text for message in scene.model.requests[-1].messages[1:]] == [
        "Book it.",
        "Let me check.",
        "booked",
    ]


async def test_a_replica_asks_for_the_rest_of_what_the_other_wrote() -> None:
    scene = Scene([Written("it is."), STOP], saved=session_pb2.Reply(said="Book it.", text="Paris "))
    await scene.write()
    assert scene.playout.text == "Paris it is."
    assert scene.roles() == [USER, ASSISTANT, USER]
    assert scene.model.requests[0].messages[-1].text == GO_ON


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("", ["Where is the tower?"]),
        ("\n\n", ["Where is the tower?"]),
        ("It is in", ["Where is the tower?", "It is in", GO_ON]),
        ("It is<|im_end|> in", ["Where is the tower?", "It is in", GO_ON]),
    ],
)
def test_c1_the_rest_of_an_answer_is_asked_for_unless_it_was_white_space(written: str, asked: list[str]) -> None:
    rest = continued(TOWER, written)
    assert [message.text for message in rest.messages] == asked
    assert [message.role for message in rest.messages] == [USER, ASSISTANT, USER][: len(asked)]
    assert len(TOWER.messages) == 1


async def test_more_calls_than_any_model_means_are_left_out() -> None:
    scene = Scene([*(call() for _ in range(MAX_CALLS + 5)), CALLED], [Written("Done."), STOP])
    await scene.write()
    assert len(scene.calls) == MAX_CALLS


REFUSALS: dict[str, tuple[list[Sequence[Step]], bool]] = {
    "C2 at once": ([[REFUSED]], True),
    "C2 after a result": ([[call(), CALLED], [REFUSED]], False),
    "C2 after words": ([[Written("It "), REFUSED]], False),
    "it is gone": ([[GONE]], False),
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_only_what_was_refused_at_once_was_refused_for_the_person_s_words(case: str) -> None:
    script, is_refused = REFUSALS[case]
    scene = Scene(*script)
    end = await scene.answering.write()
    assert (end.reason, end.is_refused) == (ReplyFinished.REASON_FAILED, is_refused)
