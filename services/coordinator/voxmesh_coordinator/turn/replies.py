"""What becomes of replies: prepared, given, lowered, interrupted, finished."""

from __future__ import annotations

from dataclasses import replace

from voxmesh_coordinator.turn import commands as do
from voxmesh_coordinator.turn import events as on
from voxmesh_coordinator.turn.state import Overlapping, Paused, Preparing, Replying, Silent, Turn
from voxmesh_coordinator.turn.steps import Step
from voxmesh_coordinator.turn.words import is_same_speech


def read(step: Step, turn: Turn, *, least: int) -> None:
    """Have the language model read the words of a turn, if there are so many new ones."""
    new = len(turn.words.split()) - turn.words_read
    if new >= least:
        step.update(replace(turn, words_read=turn.words_read + new))
        _prefill(step, turn.words)


def _prefill(step: Step, words: str = "") -> None:
    if step.state.speculation and step.state.preparing is None and not step.state.is_running:
        step.do(do.Prefill(words))


def is_prepared(step: Step) -> bool:
    """The reply in preparation answers all that was said and shown, as far as that is known."""
    draft = step.state.preparing
    if draft is None or draft.has_failed or step.state.images:
        return False
    return is_same_speech(draft.words, step.turn.words)


def prepare(step: Step, *, is_early: bool = False) -> None:
    """Prepare a reply, unless too many were in this turn; only the first try may be an early one."""
    state, turn = step.state, step.turn
    tries = 1 if is_early else state.max_speculations
    if not state.speculation or state.preparing is not None or turn.speculations >= tries:
        return
    _start_reply(step, replace(turn, speculations=turn.speculations + 1), is_early=is_early)


def _start_reply(step: Step, turn: Turn, *, is_early: bool = False) -> Preparing:
    """Begin a reply to all that a turn says and shows by now."""
    turn = replace(turn, images=(*turn.images, *step.state.images))
    if step.state.turn is not None and step.state.turn.id == turn.id:
        step.update(turn)
    draft = Preparing(step.new_id(), turn.words, is_early)
    step.set(preparing=draft, images=())
    step.do(do.PrepareReply(draft.id, turn.id, turn.words, turn.images))
    return draft


def give_up_early(step: Step) -> None:
    """The turn was judged and is probably not over: a try that began before that ends, and counts for none."""
    if step.state.preparing is not None and step.state.preparing.is_early:
        drop(step)
        step.update(replace(step.turn, speculations=step.turn.speculations - 1))


def drop(step: Step) -> None:
    """Throw the reply in preparation away, if there is one."""
    if step.state.preparing is not None:
        step.set(preparing=None)
        step.do(do.DropReply())


def answer(
    step: Step,
    turn: Turn,
    *,
    is_prepared: bool = False,
    speech_ended_s: float | None = None,
    endable_at: float | None = None,
) -> None:
    """Give the reply to a turn that is over, instead of the one before."""
    interrupt(step)
    if not is_prepared:
        drop(step)
    draft = step.state.preparing or _start_reply(step, turn)
    step.set(preparing=None, replying=Replying(draft.id))
    step.do(do.CommitTurn(turn.id, turn.text, speech_ended_s, endable_at, is_prepared))


def judge_overlap(step: Step) -> None:
    """Ask what the turn over the reply is, unless that is asked already."""
    turn = step.turn
    if turn.overlap is Overlapping.UNDECIDED:
        step.update(replace(turn, overlap=Overlapping.JUDGING))
        step.do(question(step, turn))


def question(step: Step, turn: Turn) -> do.JudgeOverlap:
    """What is to be judged of a turn over the reply by now."""
    phase = step.state.phase
    paused_s = phase.pause.offset_s if isinstance(phase, Paused) else None
    return do.JudgeOverlap(turn.words, not turn.interim, turn.began_s, paused_s)


def hold(step: Step) -> None:
    """Lower the reply that is given."""
    if step.state.replying is not None and not step.state.is_held:
        step.set(is_held=True)
        step.do(do.HoldReply())


def resume(step: Step) -> None:
    """Let it go on, if it was lowered."""
    if step.state.is_held:
        step.set(is_held=False)
        step.do(do.ResumeReply())


def interrupt(step: Step, *, is_cancelled: bool = False) -> None:
    """Stop the reply that is given; one whose sound is over has nothing to stop."""
    replying, is_audible = step.state.replying, step.is_audible
    if replying is not None and is_audible:
        step.do(do.InterruptReply(is_cancelled, is_done=replying.is_done, is_held=step.state.is_held))
        step.set(is_held=False)
    resume(step)
    step.set(replying=None)


def reply_changed(step: Step, reply_id: int, *, has_failed: bool) -> None:
    """The reply in preparation has something to say, or failed."""
    draft = step.state.preparing
    if draft is not None and draft.id == reply_id:
        draft = replace(draft, is_ready=True, has_failed=draft.has_failed or has_failed)
        step.set(preparing=draft)


def reply_finished(step: Step, event: on.ReplyFinished) -> None:
    """The reply that is given is complete, or failed."""
    replying = step.state.replying
    if replying is not None and replying.id == event.reply_id and not replying.is_done:
        done = replace(replying, is_done=True, sent_s=event.sent_s, began_at=event.began_at)
        step.set(replying=None if event.has_failed else done)
        step.do(do.FinishReply())
        if not event.has_failed:
            _prefill(step)
        step.do(do.MoveStreams(is_silent=isinstance(step.state.phase, Silent)))


def played(step: Step, reply_id: int, offset_s: float) -> None:
    """The client has played so much of a reply."""
    replying = step.state.replying
    if replying is not None and replying.id == reply_id:
        step.set(replying=replace(replying, played_s=max(offset_s, replying.played_s or 0.0)))


def taken_over(step: Step, event: on.SessionTakenOver) -> None:
    """Another coordinator's reply goes on; who speaks over it is heard again, and then it is judged again."""
    if event.reply_id is not None:
        given = Replying(event.reply_id, event.is_done, event.sent_s, event.began_at)
        step.set(replying=given)
    step.set(is_held=event.is_held)
    resume(step)
