"""A coordinator may die between any two records of a turn: another one tells the rest of it, each end once."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from google.protobuf import struct_pb2
from test_coordinator import coordinator, llm_proxy, says
from test_replies import ALONE, LINES, wants

from voxmesh.conversation.v1 import conversation_pb2, conversation_pb2_grpc
from voxmesh_coordinator.durability.reducer import Record
from voxmesh_coordinator.durability.store import FIRST_EPOCH, Claimed, Tokens, Write, digest, open_store
from voxmesh_runtime.channels import open_channel
from voxmesh_testing.llm_server import Play, RecordedUpstream, recorded_upstream
from voxmesh_testing.streams import Exchange, exchange

pytestmark = pytest.mark.mesh

Request = conversation_pb2.ConverseRequest
Response = conversation_pb2.ConverseResponse
Stub = conversation_pb2_grpc.ConversationServiceStub
Finished = conversation_pb2.ReplyFinished

BOOK = conversation_pb2.Tool(name="book", description="Book a table", parameters=struct_pb2.Struct())
CONFIG = conversation_pb2.ConversationConfig(text_replies_only=True, tools=[BOOK])
BROKEN = Play(status=401, error={"error": {"message": "no key"}})
FINE = says("It is fine.")
FIRST = Request(text="Book a table.", input_sequence=1)
NEXT = Request(text="And now?", input_sequence=2)
ENDS = ("interrupted", "reply_finished", "turn_failed", "turn_report")

TURNS: dict[str, tuple[list[Play], list[str]]] = {
    "an answer after a tool": ([wants("a", before="Let me see. "), says("It is ", "booked.")], [ENDS[1], ENDS[3]]),
    "a filtered answer and its line": ([says("It is ", finish="content_filter")], [ENDS[1], ENDS[3]]),
    "a failure and its line": ([BROKEN], list(ENDS[1:])),
    "an answer that is stopped": ([says("It is ", *["and so on "] * 50, gap_s=0.2)], [*ENDS[:2], ENDS[3]]),
}


@asynccontextmanager
async def replica(store: str) -> AsyncGenerator[tuple[RecordedUpstream, Stub]]:
    """A coordinator that shares a store, and its language model's upstream."""
    async with (
        recorded_upstream() as upstream,
        llm_proxy(upstream) as target,
        coordinator(ALONE, llm_target=target, lines=LINES, session_store=store) as (_, there),
        open_channel(there.coordinator_target or "") as channel,
    ):
        yield upstream, Stub(channel)


async def held(store: str, case: str) -> tuple[list[Response], str, str]:
    """Hold one turn; gives what its client got, the session's id and its token."""
    plays, _ = TURNS[case]
    async with replica(store) as (upstream, stub), exchange(stub.Converse, Request(config=CONFIG)) as stream:
        upstream.play(*plays)
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


async def taken(store: str, session_id: str, token: str) -> Claimed:
    """The session as it is kept."""
    opened = await open_store(store)
    assert opened is not None
    claimed = await opened.claim(session_id, digest(token), digest("other"), 600)
    await opened.close()
    assert claimed is not None
    return claimed


async def kept_until(store: str, claimed: Claimed, count: int) -> str:
    """A session whose coordinator died after so many records; gives its id, which is its token too."""
    opened = await open_store(store)
    assert opened is not None
    name = f"died after {count}"
    write = Write(
        name,
        FIRST_EPOCH,
        600,
        entries=claimed.entries[:count],
        # The state is that of before the turn: it is written with the turn's first record.
        state=claimed.state,
        tokens=Tokens(digest(name)),
        is_new=True,
    )
    assert await opened.write([write]) == [True]
    await opened.close()
    return name


@pytest.mark.parametrize("case", TURNS)
async def test_a_death_between_any_two_records_is_told_by_nothing(tmp_path: Path, case: str) -> None:
    store = f"sqlite://{tmp_path}/sessions.sqlite3"
    got, session_id, token = await held(store, case)
    claimed = await taken(store, session_id, token)
    records = [Record.FromString(entry.record) for entry in claimed.entries]
    first = next(index for index, record in enumerate(records) if record.response.HasField("turn_ended"))
    assert kinds(got)[-len(TURNS[case][1]) :] == list(TURNS[case][1])
    async with replica(store) as (upstream, stub):
        for count in range(first + 1, len(records) + 1):
            upstream.play(BROKEN if case == "a failure and its line" else FINE)
            name = await kept_until(store, claimed, count)
            before = [record.response for record in records[:count] if record.response.sequence]
            resume = conversation_pb2.Resume(session_id=name, resume_token=name, last_sequence=before[-1].sequence)
            async with exchange(stub.Converse, Request(resume=resume)) as stream:
                await stream.until("session_started")
                for called in asked_for(before):
                    await stream.send(result_of(called))
                await reported(stream, before, 1)
                upstream.play(FINE)
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
