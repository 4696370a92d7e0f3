"""Decide what a session does next: a pure function of where its turn-taking stands, what happens, and the time.

In a pause that may end a turn a reply is prepared on the words so far. The final transcript is asked for once the
reply has something to say, or when the longest wait is over, and the turn ends when both are there: until then the
person may go on without having interrupted anybody.

Speech over a reply lowers the reply at once. What it was is known from its words and its sound: murmurs, echoes and
noise let the reply go on where it stopped, anything else takes the turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from voxmesh_coordinator.turn import commands as do
from voxmesh_coordinator.turn import events as on
from voxmesh_coordinator.turn.commands import Command
from voxmesh_coordinator.turn.endpointing import EndpointDecision
from voxmesh_coordinator.turn.events import Event
from voxmesh_coordinator.turn.overlap import Overlap
from voxmesh_coordinator.turn.state import (
    Overlapping,
    Pause,
    Paused,
    Preparing,
    Replying,
    Silent,
    Speaking,
    Turn,
    TurnState,
)
from voxmesh_coordinator.turn.words import is_same_speech

WORDS_READ_AT_ONCE = 3
"""Words that are worth a request to the language model to read them."""


def step(state: TurnState, event: Event, now: float) -> tuple[TurnState, Sequence[Command]]:
    """What an event makes of a state at a time, and what is to be done, in this order."""
    taking = _Step(state, now)
    taking.take(event)
    taking.look()
    return taking.state, taking.commands


def next_deadline(state: TurnState) -> float | None:
    """When `DeadlineReached` is due if nothing else happens; None while only an event can change anything."""
    match state.phase:
        case Speaking(_, audio_at):
            return audio_at + state.endpointing.max_wait_s
        case Paused(turn, pause):
            decision = _decision(state, turn, pause)
            silences = (decision.over_s, decision.reply_s, state.endpointing.max_wait_s)
            times = (pause.lasts_at(silence_s) for silence_s in silences if silence_s is not None)
            return min((at for at in times if at > pause.looked_at), default=None)
        case _:
            return None


def _decision(state: TurnState, turn: Turn, pause: Pause) -> EndpointDecision:
    return state.endpointing.decide(pause.verdict(turn.latest_words), turn.words)


class _Step:
    """One step: `state` and `commands` grow into its result."""

    def __init__(self, state: TurnState, now: float) -> None:
        self.state = state
        self.commands: list[Command] = []
        self._now = now

    def take(self, event: Event) -> None:  # noqa: C901, PLR0912 # one line for each event
        """What the event itself changes."""
        match event:
            case on.SpeechStarted(offset_s):
                self._speech_started(offset_s)
            case on.SpeechStopped(offset_s):
                self._speech_stopped(offset_s)
            case on.EndOfTurnPredicted():
                self._predicted(event)
            case on.WordsHeard():
                self._heard(event)
            case on.FinalizeAnswered():
                self._set(finalizes_pending=max(0, self.state.finalizes_pending - 1))
            case on.OverlapJudged():
                self._overlap_judged(event)
            case on.ReplyReady(reply_id) | on.ReplyFailed(reply_id):
                self._reply_changed(reply_id, has_failed=isinstance(event, on.ReplyFailed))
            case on.ReplyFinished():
                self._reply_finished(event)
            case on.PlaybackReached(reply_id, offset_s):
                self._played(reply_id, offset_s)
            case on.ListeningFailed(failure):
                self._listening_failed(failure)
            case on.ListeningRecovered():
                self._set(recognition_failed=False)
            case on.DeadlineReached():
                self._deadline_reached(event)
            case on.SessionTakenOver():
                self._taken_over(event)
            case _:
                self._take_input(event)

    def _take_input(self, event: on.Typed | on.ImageReceived | on.InterruptRequested | on.InputEnded) -> None:
        match event:
            case on.Typed(text, sequence):
                self._set(input_sequence=sequence or self.state.input_sequence)
                self._answer(Turn(self._new_id(), text=text))
            case on.ImageReceived(image, sequence):
                self._set(images=(*self.state.images, image), input_sequence=sequence or self.state.input_sequence)
            case on.InterruptRequested():
                self._interrupt(is_cancelled=True)
            case on.InputEnded(audio_offset_s):
                self._input_ended(audio_offset_s)

    # The person speaks.

    def _speech_started(self, offset_s: float) -> None:
        self._set(recognition_failed=False)
        match self.state.phase:
            case Silent():
                is_over_reply = self._is_audible
                turn = Turn(self._new_id(), offset_s, Overlapping.UNDECIDED if is_over_reply else None)
                if is_over_reply:
                    self._hold()
            case Speaking(turn):
                pass
            case Paused(turn, pause):
                self._learn(turn, pause, max(0.0, offset_s - pause.offset_s))
        is_news = not isinstance(self.state.phase, Speaking)
        self._set(phase=Speaking(replace(turn, needs_finalize=True), self._now))
        if is_news:
            self._do(do.SendSpeechStarted(offset_s))
            self._read_along()
        self._do(do.StartRecognition(turn.id, offset_s))

    def _learn(self, turn: Turn, pause: Pause, silence_s: float) -> None:
        """The person goes on after a pause."""
        endpointing = self.state.endpointing
        probability = endpointing.adjusted_probability(pause.verdict(turn.latest_words), turn.words)
        self._set(endpointing=endpointing.resumed(probability, silence_s))

    def _speech_stopped(self, offset_s: float) -> None:
        if (turn := self.state.turn) is not None:
            self._pause(turn, offset_s, self.state.pause_s)
            # While the last words are recognised there is time to read those before them.
            self._read(turn, least=1)

    def _pause(self, turn: Turn, offset_s: float, silence_s: float) -> None:
        """Silence since `offset_s`, so long by now."""
        self._set(phase=Paused(turn, Pause(offset_s, self._now - silence_s)))

    def _predicted(self, event: on.EndOfTurnPredicted) -> None:
        match self.state.phase:
            case Paused(turn, pause):
                began_at = min(pause.began_at, self._now - event.silence_s)
                pause = replace(pause, began_at=began_at, probability=event.probability, judged_words=event.words)
                self._set(phase=Paused(turn, pause))
            case _:
                pass

    def _deadline_reached(self, event: on.DeadlineReached) -> None:
        match self.state.phase:
            case Speaking(turn, _) if self._now >= event.audio_at + self.state.endpointing.max_wait_s:
                # The client sends no audio in mid-speech: that is a pause too.
                self._pause(turn, event.audio_offset_s, self._now - event.audio_at)
            case Speaking(turn, audio_at):
                self._set(phase=Speaking(turn, max(audio_at, event.audio_at)))
            case _:
                pass

    def _input_ended(self, audio_offset_s: float) -> None:
        """Nothing will be said any more: the turn in progress is over, however it sounds."""
        self._set(input_ended=True)
        longest_s = self.state.endpointing.max_wait_s
        match self.state.phase:
            case Speaking(turn):
                self._pause(turn, audio_offset_s, longest_s)
            case Paused(turn, pause):
                pause = replace(pause, began_at=min(pause.began_at, self._now - longest_s))
                self._set(phase=Paused(turn, pause))
            case _:
                pass

    def _heard(self, event: on.WordsHeard) -> None:
        turn = self.state.turn
        if turn is None:
            return
        if event.is_final:
            text = " ".join(part for part in (turn.text, event.text) if part.strip())
            turn = replace(turn, text=text, interim="")
        else:
            turn = replace(turn, interim=event.text)
        self._update(turn)
        self._do(do.ReportWords(turn.latest_words, event.language_code))
        if turn.interim and turn.needs_finalize:
            self._read_along(is_whole=self.state.endpointing.sounds_complete(turn.words))
        if turn.overlap is not None:
            self._judge_overlap()

    def _read_along(self, *, is_whole: bool = False) -> None:
        """More was said: what does not answer it is thrown away, and the language model reads on.

        Args:
            is_whole: nothing seems to be missing of what was said.
        """
        turn, draft = self._turn, self.state.preparing
        if draft is not None and not is_same_speech(draft.words, turn.words):
            self._drop()
        # What a reply is about to be prepared for is read then, and to read it now would only hold that up.
        if isinstance(self.state.phase, Speaking) and not is_whole:
            self._read(turn, least=WORDS_READ_AT_ONCE if turn.words else 0)

    def _read(self, turn: Turn, *, least: int) -> None:
        """Have the language model read the words of a turn, if there are so many new ones."""
        new = len(turn.words.split()) - turn.words_read
        if new >= least:
            self._update(replace(turn, words_read=turn.words_read + new))
            self._prefill(turn.words)

    def _prefill(self, words: str = "") -> None:
        if self.state.speculation and self.state.preparing is None and not self.state.is_running:
            self._do(do.Prefill(words))

    # The turn in progress.

    def look(self) -> None:
        """Do what is due for a turn that pauses."""
        match self.state.phase:
            case Paused(turn, pause):
                decision = _decision(self.state, turn, pause)
                is_over = self._now >= pause.lasts_at(decision.over_s)
                endable_at = (pause.endable_at if pause.endable_at is not None else self._now) if is_over else None
                pause = replace(pause, endable_at=endable_at, looked_at=self._now)
                self._set(phase=Paused(turn, pause))
                self._look(pause, decision)
            case _:
                pass

    def _look(self, pause: Pause, decision: EndpointDecision) -> None:
        turn = self._turn
        if turn.overlap is None:
            if decision.is_doubtful:
                self._give_up_early()
            elif turn.needs_finalize and decision.is_worth_a_try:
                self._prepare(is_early=not decision.is_judged)
            if pause.endable_at is None and not self._is_worth_a_reply(pause, decision):
                return
        if self._turn.needs_finalize:
            # A final transcript cuts the sentence in two, should the person go on before there is an answer.
            if not self._is_answered_soon(pause):
                return
            self._update(replace(self._turn, needs_finalize=False))
            self._set(finalizes_pending=self.state.finalizes_pending + 1)
            self._do(do.Finalize(turn.id))
        if self._is_transcribed:
            self._go_ahead(pause)

    def _is_worth_a_reply(self, pause: Pause, decision: EndpointDecision) -> bool:
        is_long = decision.reply_s is not None and self._now >= pause.lasts_at(decision.reply_s)
        return is_long and self.state.speculation

    def _go_ahead(self, pause: Pause) -> None:
        """All that was said in a turn is known: prepare a reply, give it, or let the turn go."""
        if self._turn.overlap is not None:
            if self._is_audible:
                self._judge_overlap()
                return
            # The reply came to its end meanwhile: there was nothing to interrupt.
            self._update(replace(self._turn, overlap=None))
            self._resume()
        is_over = pause.endable_at is not None
        if not self._turn.text:
            if is_over:
                self._discard()
            return
        if not self._is_prepared:
            self._drop()
            self._prepare()
        if is_over and self._is_answered_soon(pause):
            self._commit(pause)

    @property
    def _is_transcribed(self) -> bool:
        """All that was said is in the turn's text."""
        return not self._turn.needs_finalize and not self.state.finalizes_pending

    def _is_answered_soon(self, pause: Pause) -> bool:
        """Nothing is gained by ending a turn before there is an answer: until then the person may go on."""
        draft = self.state.preparing
        is_awaited = self._is_prepared and draft is not None and not draft.is_ready
        return not is_awaited or self._now >= pause.lasts_at(self.state.endpointing.max_wait_s)

    @property
    def _is_prepared(self) -> bool:
        """The reply in preparation answers all that was said and shown, as far as that is known."""
        draft = self.state.preparing
        if draft is None or draft.has_failed or self.state.images:
            return False
        return is_same_speech(draft.words, self._turn.words)

    def _prepare(self, *, is_early: bool = False) -> None:
        """Prepare a reply, unless too many were in this turn; only the first try may be an early one."""
        state, turn = self.state, self._turn
        tries = 1 if is_early else state.max_speculations
        if not state.speculation or state.preparing is not None or turn.speculations >= tries:
            return
        self._start_reply(replace(turn, speculations=turn.speculations + 1), is_early=is_early)

    def _start_reply(self, turn: Turn, *, is_early: bool = False) -> Preparing:
        """Begin a reply to all that a turn says and shows by now."""
        turn = replace(turn, images=(*turn.images, *self.state.images))
        if self.state.turn is not None and self.state.turn.id == turn.id:
            self._update(turn)
        draft = Preparing(self._new_id(), turn.words, is_early)
        self._set(preparing=draft, images=())
        self._do(do.PrepareReply(draft.id, turn.id, turn.words, turn.images))
        return draft

    def _give_up_early(self) -> None:
        """The turn was judged and is probably not over: a try that began before that ends, and counts for none."""
        if self.state.preparing is not None and self.state.preparing.is_early:
            self._drop()
            self._update(replace(self._turn, speculations=self._turn.speculations - 1))

    def _drop(self) -> None:
        if self.state.preparing is not None:
            self._set(preparing=None)
            self._do(do.DropReply())

    def _commit(self, pause: Pause) -> None:
        """The turn in progress is over."""
        turn, is_prepared = self._turn, self._is_prepared
        self._set(endpointing=self.state.endpointing.ended(pause.probability), phase=Silent())
        self._do(do.BeginNewTurn())
        self._answer(turn, is_prepared=is_prepared, speech_ended_s=pause.offset_s, endable_at=pause.endable_at)

    def _answer(
        self,
        turn: Turn,
        *,
        is_prepared: bool = False,
        speech_ended_s: float | None = None,
        endable_at: float | None = None,
    ) -> None:
        """Give the reply to a turn that is over, instead of the one before."""
        self._interrupt()
        if not is_prepared:
            self._drop()
        draft = self.state.preparing or self._start_reply(turn)
        self._set(preparing=None, replying=Replying(draft.id))
        self._do(do.CommitTurn(turn.id, turn.text, speech_ended_s, endable_at, is_prepared))

    def _discard(self) -> None:
        """It was no turn."""
        turn = self._turn
        self._set(phase=Silent())
        self._drop()
        self._resume()
        self._do(do.BeginNewTurn(is_settled=True), do.DiscardTurn(turn.id), do.MoveStreams(is_silent=True))

    # Speech over a reply.

    def _judge_overlap(self) -> None:
        turn = self._turn
        if turn.overlap is Overlapping.UNDECIDED:
            self._update(replace(turn, overlap=Overlapping.JUDGING))
            self._do(self._question(turn))

    def _question(self, turn: Turn) -> do.JudgeOverlap:
        phase = self.state.phase
        paused_s = phase.pause.offset_s if isinstance(phase, Paused) else None
        return do.JudgeOverlap(turn.words, not turn.interim, turn.began_s, paused_s)

    def _overlap_judged(self, event: on.OverlapJudged) -> None:
        turn = self.state.turn
        if turn is None or turn.overlap is not Overlapping.JUDGING:
            return
        is_interruption = event.kind is Overlap.INTERRUPTION
        self._update(replace(turn, overlap=None if is_interruption else Overlapping.UNDECIDED))
        if is_interruption:
            self._interrupt()
        match self.state.phase:
            case Paused(turn, pause) if self._is_transcribed:
                if is_interruption:
                    self._go_ahead(pause)
                elif event.question == self._question(turn):
                    self._discard()
            case _:
                pass

    def _hold(self) -> None:
        if self.state.replying is not None and not self.state.is_held:
            self._set(is_held=True)
            self._do(do.HoldReply())

    def _resume(self) -> None:
        if self.state.is_held:
            self._set(is_held=False)
            self._do(do.ResumeReply())

    def _interrupt(self, *, is_cancelled: bool = False) -> None:
        """Stop the reply that is given; one whose sound is over has nothing to stop."""
        replying, is_audible = self.state.replying, self._is_audible
        if replying is not None and is_audible:
            self._do(do.InterruptReply(is_cancelled, is_done=replying.is_done, is_held=self.state.is_held))
            self._set(is_held=False)
        self._resume()
        self._set(replying=None)

    @property
    def _is_audible(self) -> bool:
        """There is a reply that speech would be over."""
        return self.state.replying is not None and self.state.replying.is_audible(self._now)

    # Replies come along.

    def _reply_changed(self, reply_id: int, *, has_failed: bool) -> None:
        draft = self.state.preparing
        if draft is not None and draft.id == reply_id:
            draft = replace(draft, is_ready=True, has_failed=draft.has_failed or has_failed)
            self._set(preparing=draft)

    def _reply_finished(self, event: on.ReplyFinished) -> None:
        replying = self.state.replying
        if replying is not None and replying.id == event.reply_id and not replying.is_done:
            done = replace(replying, is_done=True, sent_s=event.sent_s, began_at=event.began_at)
            self._set(replying=None if event.has_failed else done)
            self._do(do.FinishReply())
            if not event.has_failed:
                self._prefill()
            self._do(do.MoveStreams(is_silent=isinstance(self.state.phase, Silent)))

    def _played(self, reply_id: int, offset_s: float) -> None:
        replying = self.state.replying
        if replying is not None and replying.id == reply_id:
            self._set(replying=replace(replying, played_s=max(offset_s, replying.played_s or 0.0)))

    def _taken_over(self, event: on.SessionTakenOver) -> None:
        """Another coordinator's reply goes on; who speaks over it is heard again, and then it is judged again."""
        if event.reply_id is not None:
            given = Replying(event.reply_id, event.is_done, event.sent_s, event.began_at)
            self._set(replying=given)
        self._set(is_held=event.is_held)
        self._resume()

    # Trouble.

    def _listening_failed(self, failure: Any) -> None:  # passed on unseen
        """The turn that depends on it fails, the session goes on; it is told once that nobody would be heard."""
        turn, was_known = self.state.turn, self.state.recognition_failed
        if turn is None and not was_known:
            turn = Turn(self._new_id())
        self._set(recognition_failed=True, phase=Silent(), finalizes_pending=0)
        self._drop()
        self._resume()
        self._do(do.DiscardAudio())
        if turn is not None:
            self._do(do.FailTurn(turn.id, failure))

    # The parts of the state.

    @property
    def _turn(self) -> Turn:
        turn = self.state.turn
        if turn is None:
            raise AssertionError("no turn is in progress")
        return turn

    def _update(self, turn: Turn) -> None:
        self._set(phase=replace(self.state.phase, turn=turn))

    def _set(self, **changes: Any) -> None:  # as replace
        self.state = replace(self.state, **changes)

    def _do(self, *commands: Command) -> None:
        self.commands += commands

    def _new_id(self) -> int:
        new = self.state.next_id
        self._set(next_id=new + 1)
        return new
