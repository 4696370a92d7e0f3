"""A coordinator may die between any two records of a turn: another one tells the rest of it, each end once."""

from __future__ import annotations

import asyncio

import pytest
from google.protobuf import struct_pb2

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.llm.v1 import llm_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.durability.store import FIRST_EPOCH, Claimed, Tokens, Write, digest
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_testing.streams import Exchange, exchange
from voxmesh_testing.virtual.llm import Answer, calls, says
from voxmesh_testing.virtual.stage import Stage, mesh

pytestmark = pytest.mark.virtual

Request = conversation_pb2.ConverseRequest
Response = conversation_pb2.ConverseResponse
Finished = conversation_pb2.ReplyFinished
Record = session_pb2.Record

BOOK = conversation_pb2.Tool(name="book", description="Book a table", parameters=struct_pb2.Struct())
CONFIG = conversation_pb2.ConversationConfig(text_replies_only=True, tools=[BOOK])
LINES = {"en": {"content_filter": "I may not say that.", "failed": "I cannot answer now."}}
BROKEN = Answer(refusal=FailedPrecondition("upstream", "big", "no key"))
FINE = says("It is fine.")
FIRST = Request(text="Book a table.", input_sequence=1)
NEXT = Request(text="And now?", input_sequence=2)
ENDS = ("interrupted", "reply_finished", "turn_failed", "turn_report")

TURNS: dict[str, tuple[list[Answer], list[str]]] = {
    "an answer after a tool": (
        [calls("book", '{"seats": 4}', before="Let me see. "), says("It is ", "booked.")],
        [ENDS[1], ENDS[3]],
    ),
    "a filtered answer and its line": (
        [says("It is ", reason=llm_pb2.Finished.REASON_CONTENT_FILTER)],
        [ENDS[1], ENDS[3]],
    ),
    "a failure and its line": ([BROKEN], list(ENDS[1:])),
    "an answer that is stopped": ([says("It is ", *["and so on "] * 50, gap_s=0.2)], [*ENDS[:2], ENDS[3]]),
}


async def held(there: Stage, case: str) -> tuple[list[Response], str, str]:
    """Hold one turn; gives what its client got, the session's id and its token."""
    answers, _ = TURNS[case]
    async with exchange(there.stub("one").Converse, Request(config=CONFIG)) as stream:
        there.llm.play(*answers)
        started = await stream.until("session_started")
        await stream.send(FIRST)
        if case == "an answer after a tool":
            called = await stream.until("tool_call")
            await stream.send(result_of(called.call_id))
        elif case == "an answer that is stopped":
            await stream.until("reply_text")
            await stream.send(Request(interrupt=conversation_pb2.Interrupt()))
        await stream.until("turn_report")
        return [response for response in stream.seen if response.sequence], started.session_id, started.resume_token


async def taken(there: Stage, session_id: str, token: str) -> Claimed:
    """The session as it is kept."""
    assert there.store is not None
    # Records are committed behind what the client has got.
    await asyncio.sleep(1)
    claimed = await there.store.handle().claim(session_id, digest(token), digest("other"), 600)
    assert claimed is not None
    return claimed


async def kept_until(there: Stage, claimed: Claimed, count: int) -> str:
    """A session whose coordinator died after so many records; gives its id, which is its token too."""
    assert there.store is not None
    name = f"died after {count}"
    write = Write(
        name,
        FIRST_EPOCH,
        600,
        entries=list(claimed.entries[:count]),
        # The state is that of before the turn: it is written with the turn's first record.
        state=claimed.state,
        tokens=Tokens(digest(name)),
        is_new=True,
    )
    assert await there.store.handle().write([write]) == [True]
    return name


@pytest.mark.parametrize("case", TURNS)
async def test_a_death_between_any_two_records_is_told_by_nothing(case: str) -> None:
    async with mesh("one", "two", lines=LINES) as there:
        got, session_id, token = await held(there, case)
        claimed = await taken(there, session_id, token)
        records = [Record.FromString(entry.record) for entry in claimed.entries]
        first = next(index for index, record in enumerate(records) if record.response.HasField("turn_ended"))
        assert kinds(got)[-len(TURNS[case][1]) :] == list(TURNS[case][1])
        assert len(records) > first + 3
        for count in range(first + 1, len(records) + 1):
            there.llm.play(BROKEN if case == "a failure and its line" else FINE)
            name = await kept_until(there, claimed, count)
            before = [record.response for record in records[:count] if record.response.sequence]
            resume = conversation_pb2.Resume(session_id=name, resume_token=name, last_sequence=before[-1].sequence)
            async with exchange(there.stub("two").Converse, Request(resume=resume)) as stream:
                await stream.until("session_started")
                for called in asked_for(before):
                    await stream.send(result_of(called))
                await reported(stream, before, 1)
                there.llm.play(FINE)
                await stream.send(NEXT)
                await reported(stream, before, 2)
            whole = [*before, *(response for response in stream.seen if response.sequence)]
            check(whole)
            assert [each.sequence for each in whole] == list(range(1, len(whole) + 1))


def kinds(responses: list[Response]) -> list[str]:
    """What they are."""
    return [response.WhichOneof("converse_response") or "" for response in responses]


def asked_for(responses: list[Response]) -> list[str]:
    """The calls that a client was asked to make."""
    return [response.tool_call.call_id for response in responses if response.HasField("tool_call")]


def result_of(call_id: str) -> Request:
    """A client's answer to a call."""
    return Request(tool_result=conversation_pb2.ToolResult(call_id=call_id, content="number 17"))


async def reported(stream: Exchange[Request, Response], before: list[Response], turns: int) -> None:
    """Read until so many turns are reported, and answer calls."""
    while kinds([*before, *stream.seen]).count("turn_report") < turns:
        response = await stream.next()
        assert response is not None
        for called in asked_for([response]):
            await stream.send(result_of(called))


def check(responses: list[Response]) -> None:
    """Each turn has its ends once and in order."""
    told = kinds(responses)
    for turn in ("turn_ended", "reply_finished", "turn_report"):
        assert told.count(turn) == 2, told
    first = told[: told.index("turn_report") + 1]
    ends = [kind for kind in first if kind in ENDS]
    assert ends == [kind for kind in ENDS if kind in ends], told
    (finished,) = [each.reply_finished for each in responses[: len(first)] if each.HasField("reply_finished")]
    assert ("interrupted" in ends) == (finished.reason in {Finished.REASON_INTERRUPTED, Finished.REASON_CANCELLED})
    assert ("turn_failed" in ends) == (finished.reason == Finished.REASON_FAILED)
