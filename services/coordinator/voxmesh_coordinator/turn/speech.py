"""What speech and its words change: turns begin, pause and go on, and the language model reads along."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from voxmesh_coordinator.turn import commands as do
from voxmesh_coordinator.turn import events as on
from voxmesh_coordinator.turn import replies
from voxmesh_coordinator.turn.state import Overlapping, Pause, Paused, Silent, Speaking, Turn
from voxmesh_coordinator.turn.steps import Step
from voxmesh_coordinator.turn.words import is_same_speech

WORDS_READ_AT_ONCE = 3
"""Words that are worth a request to the language model to read them."""


def speech_started(step: Step, offset_s: float) -> None:
    """Somebody speaks: a turn begins, or goes on after a pause."""
    step.set(recognition_failed=False)
    match step.state.phase:
        case Silent():
            is_over_reply = step.is_audible
            turn = Turn(step.new_id(), offset_s, Overlapping.UNDECIDED if is_over_reply else None)
            if is_over_reply:
                replies.hold(step)
        case Speaking(turn):
            pass
        case Paused(turn, pause):
            _learn(step, turn, pause, max(0.0, offset_s - pause.offset_s))
    is_news = not isinstance(step.state.phase, Speaking)
    step.set(phase=Speaking(replace(turn, needs_finalize=True), step.now))
    if is_news:
        step.do(do.SendSpeechStarted(offset_s))
        _read_along(step)
    step.do(do.StartRecognition(turn.id, offset_s))


def _learn(step: Step, turn: Turn, pause: Pause, silence_s: float) -> None:
    endpointing = step.state.endpointing
    probability = endpointing.adjusted_probability(pause.verdict(turn.latest_words), turn.words)
    step.set(endpointing=endpointing.resumed(probability, silence_s))


def speech_stopped(step: Step, offset_s: float) -> None:
    """The person pauses."""
    if (turn := step.state.turn) is not None:
        _begin_pause(step, turn, offset_s, step.state.pause_s)
        # While the last words are recognised there is time to read those before them.
        replies.read(step, turn, least=1)


def _begin_pause(step: Step, turn: Turn, offset_s: float, silence_s: float) -> None:
    """Silence since `offset_s`, so long by now."""
    step.set(phase=Paused(turn, Pause(offset_s, step.now - silence_s)))


def predicted(step: Step, event: on.EndOfTurnPredicted) -> None:
    """The pause was judged."""
    match step.state.phase:
        case Paused(turn, pause):
            began_at = min(pause.began_at, step.now - event.silence_s)
            pause = replace(pause, began_at=began_at, probability=event.probability, judged_words=event.words)
            step.set(phase=Paused(turn, pause))
        case _:
            pass


def deadline_reached(step: Step, event: on.DeadlineReached) -> None:
    """Time has passed; in mid-speech the latest audio counts."""
    match step.state.phase:
        case Speaking(turn, _) if step.now >= event.audio_at + step.state.endpointing.max_wait_s:
            # The client sends no audio in mid-speech: that is a pause too.
            _begin_pause(step, turn, event.audio_offset_s, step.now - event.audio_at)
        case Speaking(turn, audio_at):
            step.set(phase=Speaking(turn, max(audio_at, event.audio_at)))
        case _:
            pass


def input_ended(step: Step, audio_offset_s: float) -> None:
    """Nothing will be said any more: the turn in progress is over, however it sounds."""
    step.set(input_ended=True)
    longest_s = step.state.endpointing.max_wait_s
    match step.state.phase:
        case Speaking(turn):
            _begin_pause(step, turn, audio_offset_s, longest_s)
        case Paused(turn, pause):
            pause = replace(pause, began_at=min(pause.began_at, step.now - longest_s))
            step.set(phase=Paused(turn, pause))
        case _:
            pass


def heard(step: Step, event: on.WordsHeard) -> None:
    """There are new words of the turn in progress."""
    turn = step.state.turn
    if turn is None:
        return
    if event.is_final:
        text = " ".join(part for part in (turn.text, event.text) if part.strip())
        turn = replace(turn, text=text, interim="")
    else:
        turn = replace(turn, interim=event.text)
    step.update(turn)
    step.do(do.ReportWords(turn.latest_words, event.language_code))
    if turn.interim and turn.needs_finalize:
        _read_along(step, is_whole=step.state.endpointing.sounds_complete(turn.words))
    if turn.overlap is not None:
        replies.judge_overlap(step)


def _read_along(step: Step, *, is_whole: bool = False) -> None:
    """More was said, maybe all: what does not answer it is thrown away, and the language model reads on."""
    turn, draft = step.turn, step.state.preparing
    if draft is not None and not is_same_speech(draft.words, turn.words):
        replies.drop(step)
    # What a reply is about to be prepared for is read then, and to read it now would only hold that up.
    if isinstance(step.state.phase, Speaking) and not is_whole:
        replies.read(step, turn, least=WORDS_READ_AT_ONCE if turn.words else 0)


def listening_failed(step: Step, failure: Any) -> None:  # passed on unseen
    """The turn that depends on it fails, the session goes on; it is told once that nobody would be heard."""
    turn, was_known = step.state.turn, step.state.recognition_failed
    if turn is None and not was_known:
        turn = Turn(step.new_id())
    step.set(recognition_failed=True, phase=Silent(), finalizes_pending=0)
    replies.drop(step)
    replies.resume(step)
    step.do(do.DiscardAudio())
    if turn is not None:
        step.do(do.FailTurn(turn.id, failure))
