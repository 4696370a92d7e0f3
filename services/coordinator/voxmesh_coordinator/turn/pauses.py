"""What is due for a turn that pauses: a reply is prepared, a final transcript asked for, the turn ended or let go.

A reply is prepared on the words so far. The final transcript is asked for once it has something to say, or when the
longest wait is over, and the turn ends when both are there: until then the person may go on without having interrupted
anybody.
"""

from __future__ import annotations

from dataclasses import replace

from voxmesh_coordinator.turn import commands as do
from voxmesh_coordinator.turn import events as on
from voxmesh_coordinator.turn import replies
from voxmesh_coordinator.turn.endpointing import EndpointDecision
from voxmesh_coordinator.turn.overlap import Overlap
from voxmesh_coordinator.turn.state import Overlapping, Pause, Paused, Silent, Speaking, Turn, TurnState
from voxmesh_coordinator.turn.steps import Step


def next_deadline(state: TurnState) -> float | None:
    """When `DeadlineReached` is due if nothing else happens; None while only an event can change anything."""
    match state.phase:
        case Speaking(_, audio_at):
            return audio_at + state.endpointing.max_wait_s
        case Paused(turn, pause):
            decision = _decision_on(state, turn, pause)
            silences = (decision.over_s, decision.reply_s, state.endpointing.max_wait_s)
            times = (pause.lasts_at(silence_s) for silence_s in silences if silence_s is not None)
            return min((at for at in times if at > pause.looked_at), default=None)
        case _:
            return None


def _decision_on(state: TurnState, turn: Turn, pause: Pause) -> EndpointDecision:
    return state.endpointing.decide(pause.verdict(turn.latest_words), turn.words)


def look(step: Step) -> None:
    """Do what is due for a turn that pauses."""
    match step.state.phase:
        case Paused(turn, pause):
            decision = _decision_on(step.state, turn, pause)
            is_over = step.now >= pause.lasts_at(decision.over_s)
            endable_at = (pause.endable_at if pause.endable_at is not None else step.now) if is_over else None
            pause = replace(pause, endable_at=endable_at, looked_at=step.now)
            step.set(phase=Paused(turn, pause))
            _do_what_is_due(step, pause, decision)
        case _:
            pass


def _do_what_is_due(step: Step, pause: Pause, decision: EndpointDecision) -> None:
    turn = step.turn
    if turn.overlap is None:
        if decision.is_doubtful:
            replies.give_up_early(step)
        elif turn.needs_finalize and decision.is_worth_a_try:
            replies.prepare(step, is_early=not decision.is_judged)
        if pause.endable_at is None and not _is_worth_a_reply(step, pause, decision):
            return
    if step.turn.needs_finalize:
        # A final transcript cuts the sentence in two, should the person go on before there is an answer.
        if not _is_answered_soon(step, pause):
            return
        step.update(replace(step.turn, needs_finalize=False))
        step.set(finalizes_pending=step.state.finalizes_pending + 1)
        step.do(do.Finalize(turn.id))
    if _is_transcribed(step):
        _go_ahead(step, pause)


def _is_worth_a_reply(step: Step, pause: Pause, decision: EndpointDecision) -> bool:
    is_long = decision.reply_s is not None and step.now >= pause.lasts_at(decision.reply_s)
    return is_long and step.state.speculation


def _go_ahead(step: Step, pause: Pause) -> None:
    """All that was said in a turn is known: prepare a reply, give it, or let the turn go."""
    if step.turn.overlap is not None:
        replies.judge_overlap(step)
        return
    is_over = pause.endable_at is not None
    if not step.turn.text:
        if is_over:
            _discard(step)
        return
    if not replies.is_prepared(step):
        replies.drop(step)
        replies.prepare(step)
    if is_over and _is_answered_soon(step, pause):
        _commit(step, pause)


def _is_transcribed(step: Step) -> bool:
    """All that was said is in the turn's text."""
    return not step.turn.needs_finalize and not step.state.finalizes_pending


def _is_answered_soon(step: Step, pause: Pause) -> bool:
    """Nothing is gained by ending a turn before there is an answer: until then the person may go on."""
    draft = step.state.preparing
    is_awaited = replies.is_prepared(step) and draft is not None and not draft.is_ready
    return not is_awaited or step.now >= pause.lasts_at(step.state.endpointing.max_wait_s)


def _commit(step: Step, pause: Pause) -> None:
    turn, is_prepared = step.turn, replies.is_prepared(step)
    step.set(endpointing=step.state.endpointing.ended(pause.probability), phase=Silent())
    step.do(do.BeginNewTurn())
    replies.answer(step, turn, is_prepared=is_prepared, speech_ended_s=pause.offset_s, endable_at=pause.endable_at)


def _discard(step: Step) -> None:
    turn = step.turn
    step.set(phase=Silent())
    replies.drop(step)
    replies.resume(step)
    step.do(do.BeginNewTurn(is_settled=True), do.DiscardTurn(turn.id), do.MoveStreams(is_silent=True))


def overlap_judged(step: Step, event: on.OverlapJudged) -> None:
    """It is known what the speech over the reply is."""
    turn = step.state.turn
    if turn is None or turn.overlap is not Overlapping.JUDGING:
        return
    is_interruption = event.kind is Overlap.INTERRUPTION
    step.update(replace(turn, overlap=None if is_interruption else Overlapping.UNDECIDED))
    if is_interruption:
        replies.interrupt(step)
    match step.state.phase:
        case Paused(turn, pause) if _is_transcribed(step):
            if is_interruption:
                _go_ahead(step, pause)
            elif not step.is_audible and event.kind is not Overlap.ECHO:
                # The reply came to its end meanwhile: there was nothing to interrupt.
                step.update(replace(turn, overlap=None))
                replies.resume(step)
                _go_ahead(step, pause)
            elif event.question == replies.question(step, turn):
                _discard(step)
        case _:
            pass
