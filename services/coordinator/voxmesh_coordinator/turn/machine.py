"""Decide what a session does next: a pure function of where its turn-taking stands, what happens, and the time.

speech    what the person says, and when
pauses    whether a turn is over, and what is done before that is certain
replies   what becomes of them: speech lowers a reply at once; murmurs, echoes and noise let it go on where it stopped,
          anything else takes the turn
"""

from __future__ import annotations

from collections.abc import Sequence

from voxmesh_coordinator.turn import events as on
from voxmesh_coordinator.turn import pauses, replies, speech
from voxmesh_coordinator.turn.commands import Command
from voxmesh_coordinator.turn.events import Event
from voxmesh_coordinator.turn.pauses import next_deadline
from voxmesh_coordinator.turn.state import Turn, TurnState
from voxmesh_coordinator.turn.steps import Step

__all__ = ["next_deadline", "step"]


def step(state: TurnState, event: Event, now: float) -> tuple[TurnState, Sequence[Command]]:
    """What an event makes of a state at a time, and what is to be done, in this order."""
    taking = Step(state, now)
    _take(taking, event)
    pauses.look(taking)
    return taking.state, taking.commands


def _take(step: Step, event: Event) -> None:  # noqa: C901, PLR0912 # one line for each event
    """What the event itself changes."""
    match event:
        case on.SpeechStarted(offset_s):
            speech.speech_started(step, offset_s)
        case on.SpeechStopped(offset_s):
            speech.speech_stopped(step, offset_s)
        case on.EndOfTurnPredicted():
            speech.predicted(step, event)
        case on.WordsHeard():
            speech.heard(step, event)
        case on.FinalizeAnswered():
            step.set(finalizes_pending=max(0, step.state.finalizes_pending - 1))
        case on.OverlapJudged():
            pauses.overlap_judged(step, event)
        case on.ReplyReady(reply_id) | on.ReplyFailed(reply_id):
            replies.reply_changed(step, reply_id, has_failed=isinstance(event, on.ReplyFailed))
        case on.ReplyFinished():
            replies.reply_finished(step, event)
        case on.PlaybackReached(reply_id, offset_s):
            replies.played(step, reply_id, offset_s)
        case on.ListeningFailed(failure):
            speech.listening_failed(step, failure)
        case on.ListeningRecovered():
            step.set(recognition_failed=False)
        case on.DeadlineReached():
            speech.deadline_reached(step, event)
        case on.SessionTakenOver():
            replies.taken_over(step, event)
        case _:
            _take_input(step, event)


def _take_input(step: Step, event: on.Typed | on.ImageReceived | on.InterruptRequested | on.InputEnded) -> None:
    state = step.state
    match event:
        case on.Typed(text, sequence):
            step.set(input_sequence=sequence or state.input_sequence)
            replies.answer(step, Turn(step.new_id(), text=text))
        case on.ImageReceived(image, sequence):
            step.set(images=(*state.images, image), input_sequence=sequence or state.input_sequence)
        case on.InterruptRequested():
            replies.interrupt(step, is_cancelled=True)
        case on.InputEnded(audio_offset_s):
            speech.input_ended(step, audio_offset_s)
