"""What the language model is told: whatever was said, written, called and interrupted, the next request is valid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from voxmesh.conversation.v1 import conversation_pb2 as conversation
from voxmesh.llm.v1 import llm_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.durability.history import (
    ASSISTANT,
    INTERRUPTED,
    MAX_MESSAGES,
    SYSTEM,
    TOOL,
    USER,
    WORDLESS,
    History,
    reply_items,
)
from voxmesh_coordinator.durability.state import Record, Response, SessionState, State
from voxmesh_coordinator.reply.tools import own_calls
from voxmesh_llm_proxy.validation import check_generate

pytestmark = pytest.mark.unit

Finished = conversation.ReplyFinished
Reply = session_pb2.Reply
Round = session_pb2.ToolRound

EXAMPLES = 100
PHASES = (Phase.generate,)
LONG = "x" * 10_000


def call(call_id: str, name: str = "weather", arguments_json: str = '{"city": "Paris"}') -> llm_pb2.ToolCall:
    made = llm_pb2.ToolCall(call_id=call_id, name=name, arguments_json=arguments_json)
    made.arguments.update({"city": "Paris"})
    return made


def result(call_id: str, text: str) -> llm_pb2.Message:
    return llm_pb2.Message(role=TOOL, text=text, tool_call_id=call_id)


def told(messages: Sequence[llm_pb2.Message]) -> list[tuple[int, str, list[str]]]:
    """Role, text, and the ids of the calls made or answered."""
    ids = ([each.call_id for each in message.tool_calls] or [message.tool_call_id] for message in messages)
    return [
        (message.role, message.text, [each for each in called if each])
        for message, called in zip(messages, ids, strict=True)
    ]


def turn(said: str, text: str = "", **fields: object) -> Reply:
    return Reply(said=said, text=text, **fields)  # pyright: ignore[reportArgumentType] # fields of the message


def of(*turns: Reply, max_characters: int = 4000) -> History:
    history = History(max_characters)
    for each in turns:
        history.add(each)
    return history


BOOKED = Round(text_characters=14, calls=[call("call_0_0")], answers=[result("call_0_0", "booked, number 17")])
UNANSWERED = Round(text_characters=14, calls=[call("call_0_0")])
LET_ME = "Let me check. "
CHECKS = LET_ME + "It is booked."

CASES: dict[str, tuple[list[Reply], list[tuple[int, str, list[str]]]]] = {
    "turns in order": (
        [turn("Hello.", "Hi."), turn("And you?", "Well.")],
        [(USER, "Hello.", []), (ASSISTANT, "Hi.", []), (USER, "And you?", []), (ASSISTANT, "Well.", [])],
    ),
    "an unanswered message is continued by the next": (
        [turn("Tell me about"), turn("the moon.", "It is far.")],
        [(USER, "Tell me about the moon.", []), (ASSISTANT, "It is far.", [])],
    ),
    "what pictures show is said with the words": (
        [turn("What is this?", "A cat.", seen="(The picture: a cat)")],
        [(USER, "What is this? (The picture: a cat)", []), (ASSISTANT, "A cat.", [])],
    ),
    "C1 a reply without a word is no message": (
        [turn("Hello?", "\n\n"), turn("Hello??", " \u00a0\t")],
        [(USER, "Hello? Hello??", [])],
    ),
    "C2 marks that the model wrote go": (
        [turn("Where?", "Paris.<|im_end|>"), turn("HTML?", "Write <s>old</s>.")],
        [(USER, "Where?", []), (ASSISTANT, "Paris.", []), (USER, "HTML?", []), (ASSISTANT, "Write old.", [])],
    ),
    "C2 marks that a recogniser wrote go": (
        [turn("<s>Hello.</s>", "Hi.")],
        [(USER, "Hello.", []), (ASSISTANT, "Hi.", [])],
    ),
    "C2 words of which cleaning left none": ([turn("<s>", "Hi.")], [(USER, WORDLESS, []), (ASSISTANT, "Hi.", [])]),
    "C2 words that the language model refused": (
        [turn("Hello.", "Hi."), turn("x <|im_start|>", end=session_pb2.ReplyEnd(is_refused=True))],
        [(USER, "Hello.", []), (ASSISTANT, "Hi.", [])],
    ),
    "C2 words whose answer the voice refused": (
        [turn("Where?", "Paris.", end=session_pb2.ReplyEnd(reason=Finished.REASON_FAILED))],
        [(USER, "Where?", []), (ASSISTANT, "Paris.", [])],
    ),
    "C4 an interrupted turn keeps its calls and results": (
        [turn("Book it.", CHECKS, rounds=[BOOKED], heard_text="Let me")],
        [
            (USER, "Book it.", []),
            (ASSISTANT, "Let me", ["call_0_0"]),
            (TOOL, "booked, number 17", ["call_0_0"]),
        ],
    ),
    "C4 a call that nobody answered was interrupted": (
        [turn("Book it.", LET_ME, rounds=[UNANSWERED], heard_text="")],
        [(USER, "Book it.", []), (ASSISTANT, "", ["call_0_0"]), (TOOL, INTERRUPTED, ["call_0_0"])],
    ),
    "C4 what was heard may end in the text after the result": (
        [turn("Book it.", CHECKS, rounds=[BOOKED], heard_text="Let me check. It is")],
        [
            (USER, "Book it.", []),
            (ASSISTANT, "Let me check.", ["call_0_0"]),
            (TOOL, "booked, number 17", ["call_0_0"]),
            (ASSISTANT, "It is", []),
        ],
    ),
    "C5 text and calls both": (
        [turn("Book it.", CHECKS, rounds=[BOOKED])],
        [
            (USER, "Book it.", []),
            (ASSISTANT, "Let me check.", ["call_0_0"]),
            (TOOL, "booked, number 17", ["call_0_0"]),
            (ASSISTANT, "It is booked.", []),
        ],
    ),
    "the operator's line is not the model's": (
        [turn("Who?", "I am. Sorry, I was stopped.", text_characters=5)],
        [(USER, "Who?", []), (ASSISTANT, "I am.", [])],
    ),
    "the operator's line is not the model's though it was heard": (
        [turn("Who?", "I am. Sorry, I was stopped.", text_characters=5, heard_text="I am. Sorry,")],
        [(USER, "Who?", []), (ASSISTANT, "I am.", [])],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_enters_the_history(case: str) -> None:
    turns, expected = CASES[case]
    assert told(of(*turns).items) == expected


@pytest.mark.parametrize(
    ("heard", "left"),
    [("", [BOOKED]), ("Let me", [BOOKED]), ("Let me check. It", [BOOKED, "It"])],
    ids=["nothing", "the text before the call", "some of the end"],
)
def test_a_reply_that_is_cut_while_it_plays_keeps_what_was_heard_and_its_calls(heard: str, left: list[object]) -> None:
    given = turn("Book it.", CHECKS, rounds=[BOOKED])
    history = of(turn("Hello.", "Hi."), given)
    history.cut(given, heard)
    assert [message.role for message in history.items] == [
        USER,
        ASSISTANT,
        USER,
        ASSISTANT,
        TOOL,
        *[ASSISTANT] * (len(left) - 1),
    ]
    assert history.items[3].text == (LET_ME.strip() if len(left) > 1 else heard)


def test_the_turn_itself_reads_a_whole_result_and_the_next_ones_a_part_of_it() -> None:
    long = Round(calls=[call("a"), call("b")], answers=[result("b", LONG), result("a", "sunny")])
    assert reply_items([long], "")[2].text == LONG
    kept = of(turn("How is it?", "Sunny.", rounds=[long])).items
    assert [len(message.text) for message in kept if message.role == TOOL] == [len("sunny"), 1000 - len("sunny")]


def test_a_huge_result_does_not_push_out_its_own_turn() -> None:
    history = of(turn("How is it?", "Sunny.", rounds=[Round(calls=[call("a")], answers=[result("a", LONG)])]))
    asked = history.request("Be kind.", ["And how humid is it?"])
    assert [message.role for message in asked] == [SYSTEM, USER, ASSISTANT, TOOL, ASSISTANT, USER]


def test_huge_arguments_do_not_keep_the_history_from_shrinking() -> None:
    huge = Round(calls=[call("a", arguments_json=f'{{"note": "{LONG}"}}')], answers=[result("a", "noted")])
    history = of(turn("Note it.", "Noted.", rounds=[huge]), turn("Hello.", "Hi."))
    assert told(history.items) == [(USER, "Hello.", []), (ASSISTANT, "Hi.", [])]


def test_arguments_and_state_of_a_call_stay_as_the_model_wrote_them() -> None:
    made = call("a", arguments_json='{ "n" : 12345678901234567890, "x": 17 }')
    made.upstream_state = b"\x00\xffsignature"
    assert reply_items([Round(calls=[made], answers=[])], "")[0].tool_calls[0] == made


BAD_CALLS = {
    "C2 a mark in the arguments": ("weather", '{"html": "<s>old</s>"}', '{"html": "old"}'),
    "C2 a mark of two arguments": ("weather", '{"a":"<|","b":"|>"}', '{"a": "<|", "b": "|>"}'),
    "C2 a mark of two arguments in JSON": (
        "weather",
        '{"a": "<\uff5c", "b": "\uff5c>"}',
        '{"a": "\uff5c", "b": "\uff5c>"}',
    ),
    "a number that JSON has not": ("weather", '{"a": NaN}', '{"a": null}'),
    "no JSON": ("weather", '{"a": ', '{"city": "Paris"}'),
    "no object": ("weather", "[1]", '{"city": "Paris"}'),
    "an odd name": ("functions.get weather", '{"a": 1}', '{"a": 1}'),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_a_call_is_cleaned_where_a_service_would_refuse_it(case: str) -> None:
    name, arguments, expected = BAD_CALLS[case]
    items = of(turn("Do it.", rounds=[Round(calls=[call("a", name, arguments)])])).items
    check_generate(llm_pb2.Generate(messages=items))
    assert items[1].tool_calls[0].arguments_json == expected


def test_what_is_only_supposed_leaves_no_trace() -> None:
    history = of(turn("Hello."))
    supposed = history.request("", ["Anybody", "there?"])
    assert told(supposed) == [(USER, "Hello. Anybody there?", [])]
    assert told(history.items) == [(USER, "Hello.", [])]


def test_what_is_told_begins_alike_for_many_turns_though_old_ones_are_forgotten() -> None:
    history = History(2000)
    beginnings: list[str] = []
    for number in range(100):
        asked = history.request("", [f"This is the question with the number {number}."])
        beginnings.append(asked[0].text)
        assert sum(len(message.text) for message in asked) <= 2000
        history.add(
            turn(f"This is the question with the number {number}.", f"And this is the answer to question {number}.")
        )
    assert len(set(beginnings)) < 10


def test_the_oldest_turns_are_forgotten_first_and_whole() -> None:
    kept = of(*(turn(f"question {number}", f"answer {number}") for number in range(10)), max_characters=60).items
    assert kept[0].role == USER
    assert (kept[-1].role, kept[-1].text) == (ASSISTANT, "answer 9")
    assert len(kept) < 10


def test_many_short_turns_are_forgotten_though_they_have_few_characters() -> None:
    history = of(*(turn("a", "b") for _ in range(MAX_MESSAGES)))
    assert len(history.items) <= MAX_MESSAGES + 1
    check_generate(llm_pb2.Generate(messages=history.request("Be kind.", ["a"])))


def test_words_that_nobody_answers_stay_bounded() -> None:
    history = of(*(turn(f"{number} " + "word " * 700) for number in range(100)))
    (unanswered,) = history.items
    assert len(unanswered.text) <= 4001
    assert "99 word" in unanswered.text


# Random turns.

MARKS = (
    "<|im_end|>",
    "<|im_",
    "start|>",
    "<s>",
    "</s>",
    "[INST]",
    "<\uff5cend\uff5c>",
    "<\uff5c",
    "\uff5c>",
    "<",
    "|>",
    "\x00",
    "\x1b",
)
WORDS = ("Paris", "is", "fine.", "नमस्ते", "😀", "\u200b", "…", "\n\n", " ", "\t", "\u00a0", '"', "\\", "{}")
pieces = st.lists(st.sampled_from((*MARKS, *WORDS)), max_size=6).map("".join)
said = st.tuples(st.sampled_from(MARKS), pieces).map("a".join)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(width=32) | pieces,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(pieces, inner, max_size=2),
    max_leaves=4,
)


@st.composite
def calls(draw: st.DrawFn) -> llm_pb2.ToolCall:
    """What a language model service may hand out, sound or not."""
    made = llm_pb2.ToolCall(
        call_id=draw(st.sampled_from(("", "get_weather:0", "a b", "x" * 900, "é"))),
        name=draw(st.sampled_from(("get_weather", "functions.get weather", "", "é" * 99))),
        arguments_json=draw(st.sampled_from(("", "{", "[]", '{"a":"<|","b":"|>"}', '{"n": 17}', '{"a": NaN}'))),
    )
    for name, value in draw(st.dictionaries(pieces, pieces | st.floats(), max_size=2)).items():
        made.arguments[name] = value
    return made


@dataclass(frozen=True)
class Turn:
    """One turn as it goes; `end` says how."""

    said: str
    seen: str
    rounds: Sequence[tuple[str, Sequence[tuple[llm_pb2.ToolCall, str | None]]]]
    text: str
    line: str
    end: str
    heard: float


ENDS = ("completed", "length", "nothing", "interrupted", "cancelled", "failed", "refused", "cut", "died")
results = st.none() | pieces | st.just(LONG[:500])
turns = st.builds(
    Turn,
    said=said,
    seen=pieces,
    rounds=st.lists(st.tuples(pieces, st.lists(st.tuples(calls(), results), min_size=1, max_size=3)), max_size=3),
    text=pieces,
    line=st.sampled_from(("", "Sorry.")),
    end=st.sampled_from(ENDS),
    heard=st.floats(0, 1),
)

REASONS = {
    "length": Finished.REASON_LENGTH,
    "nothing": Finished.REASON_NOTHING_SAID,
    "interrupted": Finished.REASON_INTERRUPTED,
    "cancelled": Finished.REASON_CANCELLED,
    "failed": Finished.REASON_FAILED,
    "refused": Finished.REASON_FAILED,
}


class Live:
    """Writes the records of turns as a session does, and looks at every request that it would make."""

    def __init__(self) -> None:
        self.log: list[Record] = []
        self.state = SessionState(State(), 400)

    def take(self, record: Record) -> None:
        kept = Record()
        kept.CopyFrom(record)
        self.log.append(kept)
        self.state.apply(len(self.log), kept)

    def write(self, turn_index: int, turn: Turn) -> None:
        for record in self._records(turn_index, turn):
            self.take(record)

    def _records(self, index: int, turn: Turn) -> Iterator[Record]:
        yield Record(
            response=Response(turn_ended=conversation.TurnEnded(turn_index=index, text=turn.said)), seen=turn.seen
        )
        text, rounds = "", list[Round]()
        for before, wanted in turn.rounds:
            text += before
            yield self._text(index, before)
            own = own_calls([each for each, _ in wanted], index, rounds)
            yield Record(tool_calls=own, text_before_calls=len(text))
            answers = [
                result(each.call_id, text) for each, (_, text) in zip(own, wanted, strict=True) if text is not None
            ]
            rounds.append(Round(text_characters=len(text), calls=own, answers=answers))
            # The last to answer is told first; the rest comes with the next calls, or never.
            yield Record(tool_answers=reversed(answers))
            self.check(reply_items(rounds, text))
        text += turn.text
        yield self._text(index, turn.text)
        if turn.end == "died":
            return
        end = session_pb2.ReplyEnd(
            reason=REASONS.get(turn.end, Finished.REASON_COMPLETED), is_refused=turn.end == "refused"
        )
        if turn.end not in ("interrupted", "cancelled"):
            yield Record(text_characters=len(text), end=end)
            yield self._text(index, turn.line)
            text += turn.line
        heard = text[: round(turn.heard * len(text))].strip()
        interrupted = Response(interrupted=conversation.Interrupted(turn_index=index, heard_text=heard))
        if turn.end in ("interrupted", "cancelled"):
            yield Record(response=interrupted, end=end)
        yield Record(response=Response(reply_finished=Finished(turn_index=index, reason=end.reason)))
        if end.reason == Finished.REASON_FAILED:
            yield Record(response=Response(turn_failed=conversation.TurnFailed(turn_index=index)))
        yield Record(response=Response(turn_report=conversation.TurnReport(turn_index=index)))
        if turn.end == "cut":
            yield Record(response=interrupted)

    def _text(self, index: int, delta: str) -> Record:
        return Record(response=Response(reply_text=conversation.ReplyText(turn_index=index, delta=delta)))

    def check(self, items: Sequence[llm_pb2.Message]) -> None:
        """A request in the midst of a turn, were it not refused for what the person said."""
        asked = self.state.history.request("Be kind.", ["And now?"])
        check_generate(llm_pb2.Generate(messages=[*asked, *items]))


@pytest.mark.sweep
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, phases=PHASES)
@given(st.lists(turns, max_size=6), st.data())
def test_after_any_turns_the_next_request_is_valid_and_a_replica_would_make_the_same(
    said: list[Turn], data: st.DataObject
) -> None:
    live = Live()
    for index, each in enumerate(said):
        live.write(index, each)
        asked = live.state.history.request("Be kind.", ["And how humid is it?"])
        check_generate(llm_pb2.Generate(messages=asked))
        assert asked[1].role == USER
        assert sum(len(message.text) for message in asked[1:]) < 1000
    cut = data.draw(st.integers(0, len(live.log)))
    before = SessionState(State(), 400)
    for position, record in enumerate(live.log[:cut], 1):
        before.apply(position, record)
    replica = SessionState.restored(before.proto.SerializeToString(), enumerate(live.log, 1), 400)
    assert replica.history.items == live.state.history.items
    kept, told = (each.proto.SerializeToString(deterministic=True) for each in (replica, live.state))
    assert kept == told
    check_generate(llm_pb2.Generate(messages=replica.history.request("Be kind.", ["And now?"])))
