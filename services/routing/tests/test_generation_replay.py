"""An answer that breaks goes on elsewhere, by what was asked and what was written of it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmesh.common.v1 import common_pb2
from voxmesh.llm.v1 import llm_pb2
from voxmesh_routing.replays.generation import Cancel, Generate, GenerationReplay, Prefill, Request, Response

pytestmark = pytest.mark.unit

READY = common_pb2.Ready()
USER, ASSISTANT = llm_pb2.Message.ROLE_USER, llm_pb2.Message.ROLE_ASSISTANT
QUESTION = llm_pb2.Generate(messages=[llm_pb2.Message(role=USER, text="Where is the tower?")])


GO_ON = "Go on."


def continued(request: llm_pb2.Generate, written: str) -> llm_pb2.Generate:
    rest = llm_pb2.Generate(messages=request.messages)
    if written.strip():
        rest.messages.add(role=ASSISTANT, text=written)
        rest.messages.add(role=USER, text=GO_ON)
    return rest


def replay() -> GenerationReplay:
    made = GenerationReplay(llm_pb2.GenerationConfig(), continued)
    assert made.pending(READY) == []
    return made


def delta(text: str, index: int = 0) -> Response:
    return Response(text_delta=llm_pb2.TextDelta(generation_index=index, text=text))


def call(name: str, index: int = 0) -> Response:
    made = llm_pb2.GeneratedToolCall(generation_index=index, tool_call=llm_pb2.ToolCall(name=name))
    return Response(tool_call=made)


def finished(index: int = 0) -> Response:
    return Response(finished=llm_pb2.Finished(generation_index=index))


def texts(request: Request) -> list[str]:
    return [message.text for message in request.generate.messages]


def test_answers_have_the_sessions_numbers_and_those_that_nobody_wants_are_dropped() -> None:
    generations = replay()
    generations.sent(Generate(1, QUESTION))
    own = generations.received(delta("Paris"))
    assert own is not None
    assert own.text_delta.generation_index == 1
    assert [r.WhichOneof("streaming_request") for r in generations.sent(Generate(2, QUESTION))] == [
        "cancel",
        "generate",
    ]
    assert generations.received(delta(" it is", 0)) is None
    assert generations.received(finished(0)) is None
    # Its owner leaves the first one only now, which does not end the second.
    assert generations.sent(Cancel(1)) == []
    own = generations.received(finished(1))
    assert own is not None
    assert own.finished.generation_index == 2
    assert generations.sent(Cancel(2)) == []
    assert not generations.is_owing


def test_an_answer_that_broke_goes_on_again_and_again() -> None:
    generations = replay()
    generations.sent(Generate(1, QUESTION))
    generations.received(delta("\n\n"))
    assert [texts(request) for request in generations.pending(READY)] == [["Where is the tower?"]]
    generations.received(delta("Paris "))
    assert [texts(request)[1:] for request in generations.pending(READY)] == [["\n\nParis ", GO_ON]]
    generations.received(delta("it is."))
    assert [texts(request)[1:] for request in generations.pending(READY)] == [["\n\nParis it is.", GO_ON]]
    assert generations.received(finished()) is not None
    assert generations.pending(READY) == []


def test_calls_of_an_answer_that_broke_are_not_made() -> None:
    generations = replay()
    generations.sent(Generate(1, QUESTION))
    assert generations.received(call("lights_off")) is None
    generations.pending(READY)
    generations.received(call("lights_on"))
    assert generations.received(finished()) is not None
    assert [made.name for made in generations.calls] == ["lights_on"]


def test_the_first_answer_of_each_generation_is_awaited() -> None:
    generations = replay()
    assert generations.awaited is None
    generations.sent(Prefill(QUESTION))
    assert (generations.awaited, generations.is_owing) == (None, False)
    generations.sent(Generate(1, QUESTION))
    assert generations.awaited == 1
    generations.received(delta("Paris"))
    assert generations.awaited is None
    generations.sent(Generate(2, QUESTION))
    generations.received(call("lights_off", 1))
    assert generations.awaited is None
    generations.sent(Cancel(2))
    assert not generations.is_owing


@settings(deadline=None)
@given(st.lists(st.sampled_from(["word", "break", "call"]), max_size=30))
def test_whatever_breaks_when_each_word_is_written_once(steps: list[str]) -> None:
    """The models here write words by number, and each goes on where it is told that the one before stopped."""
    generations, got, calls = replay(), "", 0
    (request,) = generations.sent(Generate(1, QUESTION))
    for step in [*steps, "word"]:
        match step:
            case "word":
                written = request.generate.messages[1].text if len(request.generate.messages) > 1 else ""
                word = f"{len((written + got[len(written) :]).split())} "
                own = generations.received(delta(word))
                assert own is not None
                got += own.text_delta.text
            case "call":
                generations.received(call("book"))
                calls += 1
            case _:
                (request,) = generations.pending(READY)
                calls = 0
    assert generations.received(finished()) is not None
    assert got.split() == list(map(str, range(steps.count("word") + 1)))
    assert len(generations.calls) == calls
