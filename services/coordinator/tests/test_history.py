"""What the language model is told."""

import pytest

from voxmesh_coordinator.history import ASSISTANT, SYSTEM, USER, History

pytestmark = pytest.mark.unit


def texts(history: History) -> list[tuple[int, str]]:
    return [(message.role, message.text) for message in history.messages()]


def test_turns_follow_the_system_prompt_in_order() -> None:
    history = History("Be brief.", 1000)
    history.add_user("Hello.")
    history.add_reply("Hi.")
    assert texts(history) == [(SYSTEM, "Be brief."), (USER, "Hello."), (ASSISTANT, "Hi.")]


def test_an_unanswered_message_is_continued_by_the_next() -> None:
    history = History("", 1000)
    history.add_user("Tell me about")
    history.add_user("the moon.")
    assert texts(history)[1:] == [(USER, "Tell me about the moon.")]


def test_a_reply_that_was_cut_keeps_what_was_heard() -> None:
    history = History("", 1000)
    history.add_user("Tell me a story.")
    history.add_reply("Once upon a time there was a king.")
    history.cut_reply("Once upon")
    assert texts(history)[-1] == (ASSISTANT, "Once upon")


def test_a_reply_of_which_nothing_was_heard_leaves_no_trace() -> None:
    history = History("", 1000)
    history.add_user("Tell me a story.")
    history.add_reply("Once upon a time.")
    history.cut_reply("")
    assert texts(history)[-1] == (USER, "Tell me a story.")


def test_what_is_only_supposed_leaves_no_trace() -> None:
    history = History("", 1000)
    history.add_user("Hello.")
    supposed = [(message.role, message.text) for message in history.messages(["Anybody", "there?"])]
    assert supposed[1:] == [(USER, "Hello. Anybody there?")]
    assert texts(history)[1:] == [(USER, "Hello.")]


def test_what_is_told_begins_alike_for_many_turns_though_old_ones_are_forgotten() -> None:
    history = History("", 2000)
    beginnings: list[str] = []
    for number in range(100):
        history.add_user(f"This is the question with the number {number}.")
        beginnings.append(texts(history)[1][1])
        history.add_reply(f"And this is the answer to question {number}.")
        assert sum(len(text) for _, text in texts(history)) <= 2000
    assert len(set(beginnings)) < 10


def test_the_oldest_turns_are_forgotten_first_and_whole() -> None:
    history = History("", 60)
    for number in range(10):
        history.add_user(f"question {number}")
        history.add_reply(f"answer {number}")
    kept = texts(history)[1:]
    assert kept[0][0] == USER
    assert kept[-1] == (ASSISTANT, "answer 9")
    assert len(kept) < 10
