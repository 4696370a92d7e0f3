"""Every rule of the turn machine: what each event makes of each state, and what is to be done."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from voxmesh_coordinator import turn
from voxmesh_coordinator.turn import commands as do
from voxmesh_coordinator.turn import events as on
from voxmesh_coordinator.turn.commands import Command
from voxmesh_coordinator.turn.endpointing import Endpointing
from voxmesh_coordinator.turn.events import Event
from voxmesh_coordinator.turn.machine import next_deadline, step
from voxmesh_coordinator.turn.overlap import Overlap
from voxmesh_coordinator.turn.state import Overlapping, Paused, Silent, Speaking, TurnState

pytestmark = pytest.mark.unit

MIN_S, MAX_S, PAUSE_S = 0.4, 1.5, 0.1
BEGIN = TurnState(Endpointing(MIN_S, MAX_S, 0.5, frozenset({"the", "um"})), pause_s=PAUSE_S)
QUESTION = "How are you?"
Timed: TypeAlias = "tuple[float, Event]"


class Scene:
    """A session that takes events at times."""

    def __init__(self, state: TurnState = BEGIN, events: Iterable[Timed] = ()) -> None:
        self.state = state
        self.done: list[Command] = []
        for at, event in events:
            self.take(at, event)

    def take(self, at: float, event: Event) -> list[Command]:
        """What is done after it."""
        self.state, commands = step(self.state, event, at)
        self.done += commands
        return list(commands)

    def deadline(self) -> list[Command]:
        """Wait for it; what is done then."""
        due = next_deadline(self.state)
        assert due is not None
        return self.take(due, on.DeadlineReached(due, due))

    def of(self, kind: type[Any]) -> list[Any]:
        """What was done of a kind."""
        return [command for command in self.done if isinstance(command, kind)]

    @property
    def draft(self) -> int:
        """The id of the reply in preparation."""
        assert self.state.preparing is not None
        return self.state.preparing.id

    def answer(self, at: float, kind: Overlap) -> list[Command]:
        """The question about the speech over the reply is answered."""
        return self.take(at, on.OverlapJudged(kind, self.of(do.JudgeOverlap)[-1]))


def words(text: str, *, is_final: bool = False) -> on.WordsHeard:
    return on.WordsHeard(text, is_final)


def judged(probability: float, silence_s: float = 0.0, on_words: str | None = None) -> on.EndOfTurnPredicted:
    return on.EndOfTurnPredicted(probability, silence_s, words=on_words)


def kinds(commands: Sequence[Command]) -> list[type[Command]]:
    return [type(command) for command in commands]


# A person who asks from 1 s to 2 s, and is understood as they speak.
SPEAKS: list[Timed] = [(1.0, on.SpeechStarted(1.0)), (1.9, words(QUESTION))]
PAUSES: list[Timed] = [*SPEAKS, (2.1, on.SpeechStopped(2.0))]
# A reply whose audio, of 10 s, is being sent.
REPLIES: list[Timed] = [(0.0, on.Typed("Tell me a story."))]
GIVEN = 2
"""The id of that reply: the turn was the first."""
DONE = on.ReplyFinished(GIVEN, sent_s=10.0, began_at=0.5)
OVER: list[Timed] = [*REPLIES, (1.0, on.SpeechStarted(1.0))]


# While the person speaks.


def test_speech_opens_a_turn_and_the_language_model_reads_the_conversation() -> None:
    assert Scene().take(1.0, on.SpeechStarted(0.9)) == [
        do.SendSpeechStarted(0.9),
        do.Prefill(""),
        do.StartRecognition(1, 0.9),
    ]


def test_speech_that_is_found_again_is_no_news_but_recognised() -> None:
    assert Scene(BEGIN, SPEAKS).take(2.0, on.SpeechStarted(1.0)) == [do.StartRecognition(1, 1.0)]


@pytest.mark.parametrize(
    ("said", "is_read"),
    [
        ([words("one two")], False),
        ([words("one two three")], True),
        ([words("one two three."), words("one two three.")], False),
        ([words("one two three"), words("one two three four five")], False),
        ([words("one two three"), words("one two three four five six")], True),
    ],
    ids=["too few", "enough", "whole sentences", "too few new ones", "enough new ones"],
)
def test_the_language_model_reads_along_by_some_words_at_a_time(said: list[Event], *, is_read: bool) -> None:
    scene = Scene(BEGIN, [(1.0, on.SpeechStarted(1.0))])
    for event in said[:-1]:
        scene.take(1.5, event)
    assert (do.Prefill in kinds(scene.take(1.6, said[-1]))) == is_read


def test_in_a_pause_it_reads_all_new_words_unless_a_reply_is_begun() -> None:
    scene = Scene(BEGIN, [(1.0, on.SpeechStarted(1.0)), (1.9, words("Tell"))])
    assert scene.take(2.1, on.SpeechStopped(2.0)) == [do.Prefill("Tell")]
    assert kinds(scene.take(2.2, words("Tell me."))) == [do.ReportWords, do.PrepareReply]


@pytest.mark.parametrize(
    "without", [{"speculation": False}, {"replying": "typed"}], ids=["by config", "while replying"]
)
def test_nothing_is_read_ahead_where_it_would_be_in_the_way(without: dict[str, Any]) -> None:
    scene = Scene(replace(BEGIN, **without)) if "speculation" in without else Scene(BEGIN, REPLIES)
    assert do.Prefill not in kinds(scene.take(1.0, on.SpeechStarted(1.0)))


def test_words_go_to_the_turn_detector_with_their_language() -> None:
    scene = Scene(BEGIN, [(1.0, on.SpeechStarted(1.0)), (1.5, words("Hello.", is_final=True))])
    assert scene.take(1.9, on.WordsHeard("wie geht's", is_final=False, language_code="de"))[0] == do.ReportWords(
        "Hello. wie geht's", "de"
    )


@pytest.mark.parametrize("event", [words("Hello."), on.SpeechStopped(1.0), judged(0.9), on.FinalizeAnswered()], ids=str)
def test_what_nobody_says_changes_nothing(event: Event) -> None:
    assert Scene().take(1.0, event) == []
    assert Scene().take(1.0, event) == []


# Pauses.


def test_whole_sentences_are_answered_before_they_are_judged() -> None:
    assert Scene(BEGIN, SPEAKS).take(2.1, on.SpeechStopped(2.0)) == [
        do.Prefill(QUESTION),
        do.PrepareReply(2, 1, QUESTION),
    ]


def test_a_reply_begun_too_early_is_thrown_away_and_counts_for_none() -> None:
    scene = Scene(replace(BEGIN, max_speculations=1), PAUSES)
    assert scene.take(2.2, judged(0.1)) == [do.DropReply()]
    assert scene.take(2.3, judged(0.9, 0.3)) == [do.PrepareReply(3, 1, QUESTION)]


def test_only_the_first_try_may_be_an_early_one() -> None:
    scene = Scene(BEGIN, [*PAUSES, (2.3, on.SpeechStarted(2.3)), (2.8, words("How are you? And she?"))])
    assert do.DropReply() in scene.done
    assert do.PrepareReply not in kinds(scene.take(3.1, on.SpeechStopped(3.0)))
    assert do.PrepareReply in kinds(scene.take(3.2, judged(0.9)))


def test_a_turn_has_so_many_tries() -> None:
    scene = Scene(replace(BEGIN, max_speculations=2), [*PAUSES, (2.2, judged(0.9))])
    for number in range(3):
        at = 3.0 + number
        scene.take(at, on.SpeechStarted(at))
        scene.take(at + 0.1, words(f"How are you? {'And you? ' * (number + 1)}".strip()))
        scene.take(at + 0.3, on.SpeechStopped(at + 0.2))
        scene.take(at + 0.3, judged(0.9))
    assert len(scene.of(do.PrepareReply)) == 2


@pytest.mark.parametrize(
    ("probability", "text", "over_s"),
    [(0.9, QUESTION, MIN_S), (0.6, "How do you do today?", 0.9), (0.1, QUESTION, MAX_S), (0.9, "Where is the", MAX_S)],
    ids=["surely whole", "rather whole", "unfinished", "unfinished by its words"],
)
def test_a_turn_ends_after_the_wait_for_its_probability(probability: float, text: str, over_s: float) -> None:
    scene = Scene(replace(BEGIN, speculation=False), [(1.0, on.SpeechStarted(1.0)), (1.9, words(text))])
    scene.take(2.1, on.SpeechStopped(2.0))
    scene.take(2.15, judged(probability))
    while not scene.of(do.Finalize):
        scene.deadline()
    pause = scene.state.phase
    assert isinstance(pause, Paused)
    assert pause.pause.endable_at == pytest.approx(2.0 + over_s)


def test_a_judgement_on_other_words_counts_for_nothing() -> None:
    scene = Scene(BEGIN, PAUSES)
    scene.take(2.2, judged(0.1, 0.2, "How are"))
    assert scene.state.preparing is not None
    scene.take(2.3, judged(0.1, 0.3, "how are you"))
    assert scene.state.preparing is None


def test_the_detector_may_tell_of_a_longer_silence_and_never_of_a_shorter_one() -> None:
    scene = Scene(BEGIN, PAUSES)
    scene.take(2.2, judged(0.9, 0.3))
    assert next_deadline(scene.state) == pytest.approx(2.2 - 0.3 + MIN_S)
    scene.take(2.25, judged(0.9, 0.05))
    assert next_deadline(scene.state) == pytest.approx(2.2 - 0.3 + MIN_S)


def test_the_final_transcript_is_asked_for_once_the_reply_has_something_to_say() -> None:
    scene = Scene(BEGIN, [*PAUSES, (2.2, judged(0.9))])
    assert scene.deadline() == []
    assert scene.take(2.6, on.ReplyReady(scene.draft)) == [do.Finalize(1)]


def test_or_when_the_longest_wait_is_over() -> None:
    scene = Scene(BEGIN, [*PAUSES, (2.2, judged(0.9))])
    assert [*scene.deadline(), *scene.deadline()] == [do.Finalize(1)]
    assert next_deadline(scene.state) is None


def test_a_long_wait_has_a_final_transcript_and_a_reply_before_its_end() -> None:
    scene = Scene(BEGIN, [(1.0, on.SpeechStarted(1.0)), (1.9, words("Where is the"))])
    scene.take(2.1, on.SpeechStopped(2.0))
    scene.take(2.2, judged(0.9))
    assert scene.deadline() == [do.Finalize(1)]
    scene.take(2.8, words("Where is the", is_final=True))
    assert scene.take(2.8, on.FinalizeAnswered()) == [do.PrepareReply(2, 1, "Where is the")]
    assert scene.take(2.9, on.ReplyReady(2)) == []
    assert kinds(scene.deadline()) == [do.BeginNewTurn, do.CommitTurn]


def heard_out(text: str = QUESTION) -> Scene:
    """A turn whose reply is ready, and whose final transcript was asked for and is there."""
    scene = Scene(BEGIN, [*PAUSES, (2.2, judged(0.9))])
    scene.take(2.25, on.ReplyReady(scene.draft))
    scene.deadline()
    scene.take(2.6, words(text, is_final=True))
    return scene


def commit_time(command: Command) -> float | None:
    """When the turn that it commits could have ended."""
    assert isinstance(command, do.CommitTurn)
    return command.endable_at


def test_the_turn_is_committed_when_wait_transcript_and_reply_are_there() -> None:
    scene = heard_out()
    begin, commit = scene.take(2.6, on.FinalizeAnswered())
    assert begin == do.BeginNewTurn()
    assert commit == do.CommitTurn(1, QUESTION, 2.0, commit_time(commit), is_prepared=True)
    assert commit_time(commit) == pytest.approx(2.0 + MIN_S)
    assert scene.state.phase == Silent()
    assert scene.state.is_running


def test_nothing_is_tried_on_words_that_are_about_to_be_final() -> None:
    scene = Scene(BEGIN, [(1.0, on.SpeechStarted(1.0)), (1.9, words("How are")), (2.1, on.SpeechStopped(2.0))])
    scene.take(2.2, judged(0.9))
    assert scene.deadline() == [do.Finalize(1)]
    assert kinds(scene.take(2.5, words(QUESTION))) == [do.ReportWords]


def test_final_words_decide_a_reply_to_other_words_is_not_given() -> None:
    scene = heard_out("Who are you?")
    assert kinds(scene.take(2.6, on.FinalizeAnswered())) == [do.DropReply, do.PrepareReply]
    assert kinds(scene.take(2.9, on.ReplyReady(scene.draft))) == [do.BeginNewTurn, do.CommitTurn]


def test_punctuation_alone_makes_no_other_words() -> None:
    scene = heard_out("how are you")
    assert kinds(scene.take(2.6, on.FinalizeAnswered())) == [do.BeginNewTurn, do.CommitTurn]


def test_a_prepared_reply_that_failed_is_made_again() -> None:
    scene = heard_out()
    assert scene.take(2.6, on.ReplyFailed(scene.draft)) == []
    assert kinds(scene.take(2.65, on.FinalizeAnswered())) == [do.DropReply, do.PrepareReply]


def test_without_another_try_the_turn_is_committed_and_answered_then() -> None:
    scene = Scene(replace(BEGIN, speculation=False), [*PAUSES, (2.2, judged(0.9))])
    assert scene.deadline() == [do.Finalize(1)]
    scene.take(2.6, words(QUESTION, is_final=True))
    *before, commit = scene.take(2.6, on.FinalizeAnswered())
    assert before == [do.BeginNewTurn(), do.PrepareReply(2, 1, QUESTION)]
    assert commit == do.CommitTurn(1, QUESTION, 2.0, commit_time(commit))


def test_more_speech_throws_away_what_does_not_answer_it_and_nothing_else() -> None:
    scene = Scene(BEGIN, PAUSES)
    assert do.DropReply() not in scene.take(2.5, on.SpeechStarted(2.5))
    assert do.DropReply() not in scene.take(2.6, words("how are you"))
    assert do.DropReply() in scene.take(2.9, words("how are you today"))


def test_a_final_transcript_asked_for_is_awaited_though_the_person_goes_on() -> None:
    scene = heard_out()
    scene.take(2.6, on.SpeechStarted(2.6))
    scene.take(2.7, on.FinalizeAnswered())
    scene.take(3.1, on.SpeechStopped(3.0))
    scene.take(3.2, judged(0.9, 0.2))
    assert len(scene.of(do.Finalize)) == 1
    assert kinds(scene.deadline()) == [do.Finalize]


def test_a_turn_of_which_nothing_is_understood_is_none_once_its_wait_is_over() -> None:
    scene = Scene(BEGIN, [(1.0, on.SpeechStarted(1.0)), (1.3, on.SpeechStopped(1.2)), (1.4, judged(0.9))])
    assert scene.deadline() == [do.Finalize(1)]
    assert scene.take(1.8, on.FinalizeAnswered()) == [
        do.BeginNewTurn(is_settled=True),
        do.DiscardTurn(1),
        do.MoveStreams(is_silent=True),
    ]


@pytest.mark.parametrize(
    ("probability", "complete", "unfinished"), [(0.9, (0.5,), ()), (0.1, (), (0.5,)), (None, (), (0.5,))]
)
def test_it_learns_from_pauses_after_which_the_person_goes_on(
    probability: float | None, complete: tuple[float, ...], unfinished: tuple[float, ...]
) -> None:
    scene = Scene(BEGIN, PAUSES)
    if probability is not None:
        scene.take(2.2, judged(probability))
    scene.take(2.6, on.SpeechStarted(2.5))
    assert scene.state.endpointing.after_complete == complete
    assert scene.state.endpointing.after_unfinished == unfinished


def test_and_from_turns_that_nobody_went_on_after() -> None:
    scene = heard_out()
    scene.take(2.6, on.FinalizeAnswered())
    assert scene.state.endpointing.after_complete == (0.0,)


# Audio that stops.


def test_a_client_that_sends_nothing_in_mid_word_pauses() -> None:
    scene = Scene(BEGIN, SPEAKS)
    assert next_deadline(scene.state) == 1.0 + MAX_S
    scene.take(2.5, on.DeadlineReached(audio_at=2.3, audio_offset_s=2.3))
    assert isinstance(scene.state.phase, Speaking)
    assert next_deadline(scene.state) == 2.3 + MAX_S
    assert kinds(scene.take(3.8, on.DeadlineReached(audio_at=2.3, audio_offset_s=2.3))) == [
        do.PrepareReply,
        do.Finalize,
    ]


@pytest.mark.parametrize("events", [SPEAKS, PAUSES], ids=["in mid-word", "in a pause"])
def test_at_the_end_of_the_input_the_turn_is_over_however_it_sounds(events: list[Timed]) -> None:
    scene = Scene(BEGIN, [*events, (2.2, on.InputEnded(2.2))])
    assert do.Finalize(1) in scene.done
    scene.take(2.3, words(QUESTION, is_final=True))
    assert do.CommitTurn in kinds(scene.take(2.3, on.FinalizeAnswered()))
    assert not scene.state.is_over
    scene.take(9.0, on.ReplyFinished(GIVEN))
    assert scene.state.is_over


def test_at_the_end_of_the_input_of_nobody_who_speaks_it_is_over() -> None:
    assert Scene(BEGIN, [(1.0, on.InputEnded(1.0))]).state.is_over


# Speech over a reply.


@pytest.mark.parametrize(
    ("events", "is_over_reply"),
    [
        ([], False),
        (REPLIES, True),
        ([*REPLIES, (0.9, DONE)], True),
        ([*REPLIES, (0.9, DONE), (0.95, on.PlaybackReached(GIVEN, 9.97))], False),
        ([*REPLIES, (0.9, DONE), (0.95, on.PlaybackReached(GIVEN, 5.0))], True),
        ([*REPLIES, (0.9, DONE), (0.95, on.PlaybackReached(7, 9.97))], True),
        (
            [*REPLIES, (0.5, on.PlaybackReached(GIVEN, 9.97)), (0.9, DONE), (0.95, on.PlaybackReached(GIVEN, 5.0))],
            False,
        ),
        ([*REPLIES, (0.9, replace(DONE, sent_s=0.3))], False),
        ([*REPLIES, (0.9, replace(DONE, sent_s=0.0))], False),
        ([*REPLIES, (0.9, replace(DONE, has_failed=True))], False),
        ([*REPLIES, (0.9, on.InterruptRequested())], False),
    ],
    ids=[
        *(
            "no reply",
            "it is made",
            "it is played",
            "it was played",
            "half of it was",
            "another one was",
            "it was before",
        ),
        *("its time is over", "it is text", "it failed", "it was stopped"),
    ],
)
def test_speech_lowers_a_reply_that_it_is_over(events: list[Timed], *, is_over_reply: bool) -> None:
    scene = Scene(BEGIN, events)
    commands = scene.take(1.0, on.SpeechStarted(1.0))
    assert (commands[0] == do.HoldReply()) == is_over_reply
    turn = scene.state.turn
    assert turn is not None
    assert (turn.overlap is Overlapping.UNDECIDED) == is_over_reply


def test_time_tells_what_was_played_where_the_client_does_not() -> None:
    for at, is_over_reply in ((10.4, True), (10.5, False)):
        scene = Scene(BEGIN, [*REPLIES, (0.9, DONE)])
        assert (do.HoldReply() in scene.take(at, on.SpeechStarted(1.0))) == is_over_reply


def test_words_over_it_are_judged_and_no_others() -> None:
    assert Scene(BEGIN, OVER).take(1.5, words("Stop"))[-1] == do.JudgeOverlap("Stop", False, 1.0, None)
    assert do.JudgeOverlap not in kinds(Scene(BEGIN, SPEAKS).done)


def test_an_interruption_takes_the_turn_at_once() -> None:
    scene = Scene(BEGIN, [*OVER, (1.5, words("Stop it"))])
    assert scene.answer(1.5, Overlap.INTERRUPTION) == [do.InterruptReply(is_held=True)]
    assert not scene.state.is_held
    assert scene.state.replying is None
    scene.take(1.6, words("Stop it now"))
    assert len(scene.of(do.JudgeOverlap)) == 1


@pytest.mark.parametrize("kind", [Overlap.NOTHING, Overlap.BACKCHANNEL, Overlap.ECHO])
def test_anything_else_is_let_go_once_it_pauses_and_its_words_are_known(kind: Overlap) -> None:
    scene = Scene(BEGIN, [*OVER, (1.5, words("Right."))])
    assert scene.answer(1.5, kind) == []
    assert scene.take(1.9, on.SpeechStopped(1.8)) == [do.Finalize(3)]
    assert kinds(scene.take(2.0, words("Right.", is_final=True))) == [do.ReportWords, do.JudgeOverlap]
    assert scene.answer(2.0, kind) == []
    assert scene.take(2.0, on.FinalizeAnswered()) == [do.JudgeOverlap("Right.", True, 1.0, 1.8)]
    assert scene.answer(2.0, kind) == [
        do.ResumeReply(),
        do.BeginNewTurn(is_settled=True),
        do.DiscardTurn(3),
        do.MoveStreams(is_silent=True),
    ]
    assert scene.state.replying is not None


def test_a_judgement_that_comes_late_is_asked_for_again_where_the_words_are_others_by_then() -> None:
    scene = Scene(BEGIN, [*OVER, (1.5, words("Right."))])
    scene.take(1.9, on.SpeechStopped(1.8))
    scene.take(2.0, words("Right, but what about Italy?", is_final=True))
    scene.take(2.0, on.FinalizeAnswered())
    assert len(scene.of(do.JudgeOverlap)) == 1
    assert kinds(scene.answer(2.1, Overlap.BACKCHANNEL)) == [do.JudgeOverlap]
    assert kinds(scene.answer(2.1, Overlap.INTERRUPTION)) == [do.InterruptReply, do.PrepareReply]


def test_nothing_is_prepared_for_what_may_be_no_turn() -> None:
    scene = Scene(BEGIN, [*OVER, (1.5, words(QUESTION)), (1.9, on.SpeechStopped(1.8)), (2.0, judged(0.9))])
    assert len(scene.of(do.PrepareReply)) == 1


@pytest.mark.parametrize("kind", [Overlap.NOTHING, Overlap.BACKCHANNEL])
def test_what_was_over_a_reply_that_came_to_its_end_is_a_turn(kind: Overlap) -> None:
    scene = Scene(BEGIN, [*REPLIES, (0.6, replace(DONE, sent_s=1.0)), (1.0, on.SpeechStarted(1.0))])
    assert scene.state.is_held
    scene.take(1.9, on.SpeechStopped(1.8))
    scene.take(2.0, words(QUESTION, is_final=True))
    scene.answer(2.0, Overlap.NOTHING)
    assert kinds(scene.take(2.0, on.FinalizeAnswered())) == [do.JudgeOverlap]
    assert scene.answer(2.0, kind) == [do.ResumeReply(), do.PrepareReply(4, 3, QUESTION)]


def test_the_echo_of_a_reply_that_came_to_its_end_is_no_turn() -> None:
    scene = Scene(BEGIN, [*REPLIES, (0.6, replace(DONE, sent_s=1.0)), (1.0, on.SpeechStarted(1.0))])
    scene.take(1.9, on.SpeechStopped(1.8))
    scene.take(2.0, words(QUESTION, is_final=True))
    scene.answer(2.0, Overlap.NOTHING)
    scene.take(2.0, on.FinalizeAnswered())
    assert do.DiscardTurn in kinds(scene.answer(2.0, Overlap.ECHO))


def test_an_interruption_of_a_sound_that_just_ended_still_ends_the_lowering() -> None:
    scene = Scene(BEGIN, [*REPLIES, (0.6, replace(DONE, sent_s=1.0)), (1.0, on.SpeechStarted(1.0))])
    scene.take(1.6, words("Stop it"))
    assert scene.answer(1.6, Overlap.INTERRUPTION) == [do.ResumeReply()]


@pytest.mark.parametrize(
    ("events", "command"),
    [
        (REPLIES, do.InterruptReply(is_cancelled=True)),
        (OVER, do.InterruptReply(is_cancelled=True, is_held=True)),
        ([*REPLIES, (0.9, DONE)], do.InterruptReply(is_cancelled=True, is_done=True)),
        ([*REPLIES, (0.9, replace(DONE, sent_s=0.0))], None),
        ([], None),
    ],
    ids=["it is made", "it is lowered", "it is played", "its sound is over", "there is none"],
)
def test_the_client_may_stop_a_reply(events: list[Timed], command: Command | None) -> None:
    assert Scene(BEGIN, events).take(1.0, on.InterruptRequested()) == ([command] if command else [])


# Typed turns and pictures.


def test_a_typed_turn_is_answered_at_once_instead_of_all_that_was_before() -> None:
    scene = Scene(BEGIN, [*REPLIES, (0.9, DONE)])
    assert scene.take(1.0, on.Typed(QUESTION, 4)) == [
        do.InterruptReply(is_done=True),
        do.PrepareReply(4, 3, QUESTION),
        do.CommitTurn(3, QUESTION),
    ]
    scene.take(1.1, on.Typed("And you?"))
    assert scene.state.input_sequence == 4


def test_a_typed_turn_ends_the_preparation_and_not_the_turn_that_is_spoken() -> None:
    scene = Scene(BEGIN, PAUSES)
    assert kinds(scene.take(2.2, on.Typed("Hello."))) == [do.DropReply, do.PrepareReply, do.CommitTurn]
    assert isinstance(scene.state.phase, Paused)


def test_a_picture_goes_with_the_next_reply_alone() -> None:
    scene = Scene(BEGIN, [(0.1, on.ImageReceived(b"one", 1)), (0.2, on.ImageReceived(b"two"))])
    assert scene.state.input_sequence == 1
    scene.take(1.0, on.Typed("What is it?"))
    scene.take(2.0, on.Typed("And now?"))
    assert [command.images for command in scene.of(do.PrepareReply)] == [(b"one", b"two"), ()]


def test_a_picture_that_comes_while_a_reply_is_prepared_is_answered_too() -> None:
    scene = heard_out()
    scene.take(2.6, on.ImageReceived(b"one"))
    assert scene.take(2.6, on.FinalizeAnswered()) == [do.DropReply(), do.PrepareReply(3, 1, QUESTION, (b"one",))]


def test_a_picture_of_a_turn_stays_with_it_when_its_reply_is_made_again() -> None:
    scene = Scene(BEGIN, [(0.5, on.ImageReceived(b"one")), *PAUSES])
    scene.take(2.3, on.SpeechStarted(2.3))
    scene.take(2.6, words("How are you? And she?"))
    scene.take(3.1, on.SpeechStopped(3.0))
    scene.take(3.1, judged(0.9))
    assert [command.images for command in scene.of(do.PrepareReply)] == [(b"one",), (b"one",)]


# Replies come to their end.


def test_the_end_of_a_reply_is_told_and_then_read() -> None:
    assert Scene(BEGIN, REPLIES).take(1.0, DONE) == [do.FinishReply(), do.Prefill(""), do.MoveStreams(is_silent=True)]


def test_a_reply_that_failed_is_told_and_gone() -> None:
    scene = Scene(BEGIN, REPLIES)
    assert scene.take(1.0, replace(DONE, has_failed=True)) == [do.FinishReply(), do.MoveStreams(is_silent=True)]
    assert scene.state.replying is None


@pytest.mark.parametrize("event", [DONE, on.ReplyReady(GIVEN), on.ReplyFailed(GIVEN)], ids=["done", "ready", "failed"])
def test_a_reply_that_was_stopped_says_nothing_more(event: Event) -> None:
    assert Scene(BEGIN, [*REPLIES, (0.5, on.InterruptRequested())]).take(1.0, event) == []


# Trouble, and other coordinators.


@pytest.mark.parametrize(
    ("events", "commands"),
    [
        ([], [do.DiscardAudio(), do.FailTurn(1, "gone")]),
        (PAUSES, [do.DropReply(), do.DiscardAudio(), do.FailTurn(1, "gone")]),
        (OVER, [do.ResumeReply(), do.DiscardAudio(), do.FailTurn(3, "gone")]),
        ([(0.5, on.ListeningFailed("gone"))], [do.DiscardAudio()]),
        ([(0.5, on.ListeningFailed("gone")), *SPEAKS], [do.DiscardAudio(), do.FailTurn(2, "gone")]),
        (
            [(0.5, on.ListeningFailed("gone")), (0.6, on.ListeningRecovered())],
            [do.DiscardAudio(), do.FailTurn(2, "gone")],
        ),
    ],
    ids=["nobody speaks", "somebody pauses", "over a reply", "once more", "once more in speech", "after it was back"],
)
def test_the_turn_fails_when_nobody_hears_it(events: list[Timed], commands: list[Command]) -> None:
    scene = Scene(BEGIN, events)
    assert scene.take(3.0, on.ListeningFailed("gone")) == commands
    assert scene.state.phase == Silent()
    assert scene.state.recognition_failed


def test_speech_that_is_heard_says_that_listening_is_well_again() -> None:
    scene = Scene(BEGIN, [(0.5, on.ListeningFailed("gone"))])
    assert scene.state.recognition_failed
    scene.take(1.0, on.SpeechStarted(1.0))
    assert not scene.state.recognition_failed


@pytest.mark.parametrize("is_held", [True, False])
def test_another_coordinators_reply_goes_on_as_loud_as_ever(*, is_held: bool) -> None:
    scene = Scene()
    taken = on.SessionTakenOver(is_held, reply_id=0)
    assert scene.take(0.0, taken) == ([do.ResumeReply()] if is_held else [])
    assert scene.take(1.0, on.SpeechStarted(1.0))[0] == do.HoldReply()


def test_what_another_coordinator_gave_to_its_end_may_still_be_played() -> None:
    taken = on.SessionTakenOver(is_held=False, reply_id=0, is_done=True, sent_s=10.0, began_at=-5.0)
    for at, is_over_reply in ((1.0, True), (6.0, False)):
        assert (do.HoldReply() in Scene(BEGIN, [(0.0, taken)]).take(at, on.SpeechStarted(1.0))) == is_over_reply


def test_the_machine_knows_no_clock_no_loop_and_no_service() -> None:
    allowed = {"__future__", "collections.abc", "dataclasses", "difflib", "enum", "typing", "unicodedata"}
    modules = list(Path(turn.__path__[0]).glob("*.py"))
    nodes = [node for path in modules for node in ast.walk(ast.parse(path.read_text()))]
    named = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    named |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    own = {name for name in named if name.startswith("voxmesh_coordinator.turn")}
    assert len(modules) > 1
    assert named - own <= allowed
