"""A coordinator dies behind a slow store, at every point of a spoken turn: its client loses and doubles no word."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

import grpc
import pytest

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.llm.v1 import llm_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh_client.events import SessionReplaced
from voxmesh_client.newest_turn import NewestTurn
from voxmesh_coordinator.durability.state import FORMAT, Record
from voxmesh_coordinator.durability.store import FIRST_EPOCH, Entry, Tokens, Write, digest
from voxmesh_testing.streams import exchange, wait_until
from voxmesh_testing.virtual.caller import Caller
from voxmesh_testing.virtual.llm import Answer, calls, says
from voxmesh_testing.virtual.speech import heard_in, say
from voxmesh_testing.virtual.stage import Stage, mesh

pytestmark = pytest.mark.virtual

Request = conversation_pb2.ConverseRequest
Response = conversation_pb2.ConverseResponse
QUESTION = "What is the capital of France?"
PARTS = ("Paris. ", "No other.")
ANSWER = "".join(PARTS)
TOKEN = "t" * 32
BEFORE_FORMATS = Path(__file__).parent / "sessions" / "before_formats.json"
"""A session as the last version without a format kept it: a second turn is being answered."""


def _tell_nothing(newest: NewestTurn, resume: conversation_pb2.Resume) -> None:
    """As a client that knows only what every client must."""
    del newest, resume


class View:
    """What a client has of a session, by the contract: what is void it drops."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, tells: bool) -> None:
        self.responses: list[Response] = []
        taken = NewestTurn.take

        def take(newest: NewestTurn, kind: str, response: Response) -> None:
            self.responses.append(response)
            taken(newest, kind, response)

        def void(_: NewestTurn, after_sequence: int) -> None:
            self.responses = [response for response in self.responses if response.sequence <= after_sequence]

        monkeypatch.setattr(NewestTurn, "take", take)
        monkeypatch.setattr(NewestTurn, "void", void)
        if not tells:
            monkeypatch.setattr(NewestTurn, "tell", _tell_nothing)

    @property
    def numbered(self) -> list[Response]:
        return [response for response in self.responses if response.sequence]

    def texts(self) -> tuple[list[str], str, str]:
        """What was said, what was answered, and what is heard of that."""
        pieces = [each.reply_audio for each in self.responses if each.HasField("reply_audio")]
        begins = [piece.offset.ToNanoseconds() / 1e9 for piece in pieces]
        audio = b"".join(piece.data for piece in pieces)
        ends = [len(b"".join(piece.data for piece in pieces[:count])) / 48_000 for count in range(len(pieces))]
        assert begins == pytest.approx(ends, abs=1e-6)
        assert [piece.sequence for piece in pieces] == list(range(len(pieces)))
        assert [piece.is_last for piece in pieces] == [False] * (len(pieces) - 1) + [True]
        said = [each.turn_ended.text for each in self.responses if each.HasField("turn_ended")]
        answer = "".join(each.reply_text.delta for each in self.responses)
        return said, answer, heard_in(audio)

    def count(self, kind: str) -> int:
        """How often a kind of response came."""
        return sum(response.WhichOneof("converse_response") == kind for response in self.responses)


def remaining(asked: llm_pb2.Generate) -> Answer:
    """What is left of the answer after what the model is told that it has said."""
    is_begun = asked.messages[-1].text.startswith("Go on exactly")
    told = asked.messages[-2].text.strip() if is_begun else ""
    assert ANSWER.startswith(told)
    return says(*(part for part in PARTS if part.strip() not in told), gap_s=0.3)


async def held(there: Stage, call: Caller, view: View, *, dies_after: int | None) -> None:
    """A question and its answer; the coordinator dies when the client has so many responses of it."""
    there.llm.play(remaining)
    call.say(say(QUESTION))
    if dies_after is not None:
        await wait_until(lambda: len(view.numbered) >= dies_after)
        await there.take_over()
        await call.until(SessionReplaced)
    await wait_until(lambda: view.count("turn_report") >= 1)
    # Nothing of the question is heard again.
    await asyncio.sleep(2)


@pytest.mark.sweep
@pytest.mark.parametrize("tells", [True, False], ids=["with its account of the turn", "without"])
async def test_a_death_at_any_point_loses_and_doubles_no_word(*, tells: bool) -> None:
    async with mesh("one", "two") as there, there.talk(interim_results=False) as call:
        with pytest.MonkeyPatch.context() as patch:
            view = View(patch, tells=tells)
            await held(there, call, view, dies_after=None)
    undisturbed, count = view.texts(), len(view.numbered)
    assert undisturbed == ([QUESTION], ANSWER, ANSWER)
    for dies_after in range(1, count + 1):
        async with mesh("one", "two") as there, there.talk(interim_results=False) as call:
            assert there.store is not None
            there.store.write_s = 0.25
            with pytest.MonkeyPatch.context() as patch:
                view = View(patch, tells=tells)
                await held(there, call, view, dies_after=dies_after)
            replaced = call.events(SessionReplaced)
        assert [each.resumed for each in replaced] == [True], dies_after
        assert view.texts() == undisturbed, dies_after
        assert [view.count(kind) for kind in ("turn_ended", "reply_finished", "turn_report")] == [1, 1, 1], dies_after
        sequences = [each.sequence for each in view.numbered]
        assert sequences == sorted(set(sequences)), dies_after


async def kept(there: Stage, state: bytes, entries: list[Entry]) -> Request:
    """A session that somebody has left in the store; gives what its client resumes with."""
    assert there.store is not None
    tokens = Tokens(digest(TOKEN))
    write = Write("kept", FIRST_EPOCH, 600, entries=entries, state=state, tokens=tokens, is_new=True)
    assert await there.store.handle().write([write]) == [True]
    return Request(resume=conversation_pb2.Resume(session_id="kept", resume_token=TOKEN, last_sequence=23))


async def test_a_session_that_the_version_before_kept_goes_on() -> None:
    saved = json.loads(BEFORE_FORMATS.read_text())
    entries = [Entry(int(position), base64.b64decode(record)) for position, record in saved["entries"].items()]
    async with mesh("one", has_store=True) as there:
        there.llm.play(says(" They went away."))
        resume = await kept(there, base64.b64decode(saved["state"]), entries)
        async with exchange(there.stub().Converse, resume) as stream:
            started = await stream.until("session_started")
            await stream.until("turn_report")
        messages = there.llm.messages(0)
    assert started.next_audio_sequence > 0
    assert not started.HasField("void_after_sequence")
    assert "".join(each.reply_text.delta for each in stream.seen) == " They went away."
    assert [message.text for message in messages[1:-1]] == [
        QUESTION,
        "It is Paris.",
        "France? Please tell me a story.",
        "Once upon a time there was a king, and he had three sons.",
    ]


async def test_a_session_that_a_later_version_keeps_is_refused_and_stays_for_that() -> None:
    state = session_pb2.State(format=FORMAT + 1).SerializeToString()
    async with mesh("one", has_store=True) as there:
        resume = await kept(there, state, [])
        for _ in range(2):
            # The token stays good: a coordinator of the later version may be next.
            async with exchange(there.stub().Converse, resume) as stream:
                error = await stream.failure()
            assert error.code() == grpc.StatusCode.NOT_FOUND
            assert "upgrade first" in str(error.details())


async def test_a_client_that_lies_of_its_turn_is_refused_by_the_field() -> None:
    async with mesh("one", has_store=True) as there:
        resume = await kept(there, session_pb2.State().SerializeToString(), [])
        resume.resume.turn.said = "x" * 100_001
        async with exchange(there.stub().Converse, resume) as stream:
            error = await stream.failure()
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "resume.turn.said" in str(error.details())


async def test_a_tool_is_not_called_before_its_call_is_kept() -> None:
    tool = conversation_pb2.Tool(name="weather", description="Weather of a city")
    async with mesh("one", "two") as there, there.chat(tools=[tool]) as call:
        assert there.store is not None
        there.llm.play(calls("weather", '{"city": "Paris"}'), says("It is sunny."))
        there.store.write_s = 1.0
        await call.conversation.send_text("How is the weather in Paris?")
        turn_ended = await call.until(conversation_pb2.TurnEnded)
        wanted = await call.until(conversation_pb2.ToolCall)
        (session,) = there.store.kept_entries()
        assert any(Record.FromString(entry.record).response.HasField("tool_call") for entry in session)
        assert call.time_of(wanted) >= call.time_of(turn_ended) + 1


async def test_a_coordinator_that_drains_has_committed_what_its_client_has_when_that_leaves() -> None:
    async with mesh("one", "two") as there, there.chat("one,two") as call:
        assert there.store is not None
        there.store.write_s = 0.3
        there.llm.play(says("One. ", "Two.", gap_s=0.5))
        await call.conversation.send_text("Count.")
        await call.until(conversation_pb2.ReplyText)
        host = call.conversation.session.services[-1].host
        draining = asyncio.create_task(there.replicas[host].drain())
        await call.until(SessionReplaced)
        (entries,) = there.store.kept_entries()
        records = [Record.FromString(entry.record) for entry in entries]
        await draining
        await call.ask("And now?", 1)
    assert [record.response.WhichOneof("converse_response") for record in records][-1] == "turn_report"
    assert not any(record.HasField("resumed") for record in records)
    assert call.reply_text(0) == "One. Two."
