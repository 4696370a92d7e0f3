"""Where the time of the turns in progress goes, as the events and commands of the turn machine tell it."""

from __future__ import annotations

from voxmesh_coordinator.listening.microphone import Microphone
from voxmesh_coordinator.metrics.turn_metrics import TurnMetrics
from voxmesh_coordinator.turn.commands import CommitTurn
from voxmesh_coordinator.turn.events import (
    EndOfTurnPredicted,
    Event,
    FinalizeAnswered,
    SpeechStarted,
    SpeechStopped,
    WordsHeard,
)
from voxmesh_coordinator.turn.state import Paused, Silent, TurnState
from voxmesh_routing.call_timing import UpstreamCallTiming
from voxmesh_runtime.clock import Clock


class TurnTiming:
    """Keeps the metrics of each turn until it is over, and the calls by which the one in progress is heard.

    Args:
        clock: of the process.
        microphone: None in a conversation that is typed alone.
    """

    def __init__(self, clock: Clock, microphone: Microphone | None) -> None:
        self._clock = clock
        self._microphone = microphone
        self._metrics: dict[int, TurnMetrics] = {}
        self._final: UpstreamCallTiming | None = None
        """The latest request for final transcripts."""
        self._interim: UpstreamCallTiming | None = None
        """The work on the latest interim transcript of the pause in progress."""
        self._prediction: UpstreamCallTiming | None = None
        """The first judgement by sound of the pause in progress."""

    def of(self, turn_id: int) -> TurnMetrics:
        """The metrics of a turn that is not over."""
        if turn_id not in self._metrics:
            self._metrics[turn_id] = TurnMetrics(self._clock)
        return self._metrics[turn_id]

    def note(self, event: Event, before: TurnState) -> None:
        """Something happened while the turn-taking stood like that."""
        match event, self._microphone:
            case SpeechStarted(), _:
                self._interim = self._prediction = None
                if isinstance(before.phase, Silent):
                    self._final = None
            case SpeechStopped(), _:
                self._prediction = None
            case EndOfTurnPredicted(), Microphone() as microphone:
                self._predicted(event, before, microphone)
            case WordsHeard(), Microphone() as microphone:
                self._heard(event, before, microphone)
            case FinalizeAnswered(), Microphone() as microphone:
                if self._final is not None and before.finalizes_pending:
                    self._final.sent_ns = event.sent_ns or self._final.sent_ns
                    self._final.served_by(microphone.recognizer.ready)
                    self._final.finish(event.timing)
            case _:
                pass

    def asks_for_finals(self, turn_id: int) -> None:
        """Final transcripts are asked for; only the latest request counts."""
        if self._microphone is not None:
            metrics, ready = self.of(turn_id), self._microphone.recognizer.ready
            metrics.hops = [hop for hop in metrics.hops if hop is not self._final]
            self._final = metrics.hop(f"stt/{ready.engine}", ready.host)

    def commit(self, command: CommitTurn, turn_index: int) -> TurnMetrics:
        """A turn is over, and answered."""
        metrics = self._metrics.pop(command.turn_id)
        now_ns = self._clock.wall_ns()
        metrics.turn_index, metrics.turn_ended_ns = turn_index, now_ns
        if command.endable_at is not None:
            metrics.turn_endable_ns = now_ns - round((self._clock.now() - command.endable_at) * 1e9)
            if not command.is_prepared:
                metrics.turn_ended_ns = metrics.turn_endable_ns
        if command.speech_ended_s is not None and self._microphone is not None:
            metrics.speech_ended_ns = self._microphone.timeline.time_ns(command.speech_ended_s)
            metrics.hops += [hop for hop in (self._prediction, self._interim) if hop is not None]
        return metrics

    def end(self, turn_id: int, turn_index: int = -1) -> None:
        """A turn ends without an answer."""
        metrics = self.of(turn_id)
        metrics.turn_index = turn_index
        metrics.end()
        del self._metrics[turn_id]

    def _predicted(self, event: EndOfTurnPredicted, before: TurnState, microphone: Microphone) -> None:
        """The sound is judged once; those that follow tell of longer silence, and of words."""
        phase = before.phase
        if not isinstance(phase, Paused) or self._prediction is not None or not event.is_of_sound:
            return
        ready, told_s = microphone.detector.ready, phase.pause.offset_s + microphone.settings.pause_s
        hop = UpstreamCallTiming(f"turn/{ready.engine}", ready.host, is_listening=True, clock=self._clock)
        hop.sent_ns = event.sent_ns or microphone.timeline.time_ns(told_s) or self._clock.wall_ns()
        hop.finish(event.timing)
        self._prediction = hop

    def _heard(self, event: WordsHeard, before: TurnState, microphone: Microphone) -> None:
        """How the recogniser spent the time is known of the latest interim transcript in a pause."""
        if self._final is not None and before.finalizes_pending:
            self._final.output()
        is_in_pause = isinstance(before.phase, Paused) and not event.is_final
        if is_in_pause and event.sent_ns is not None and event.timing is not None:
            ready = microphone.recognizer.ready
            self._interim = UpstreamCallTiming(
                f"stt/{ready.engine}", ready.host, event.sent_ns, is_listening=True, clock=self._clock
            )
            self._interim.finish(event.timing)
