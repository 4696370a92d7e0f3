"""The one who decides in a session: takes events one after another, ends turns, starts and stops replies.

    silence ──speech──► speaking ──pause──► paused ──wait over, reply ready──► given
                           ▲                  │ worth it: transcript, and a reply in preparation
                           └──── speech ──────┘ which is thrown away when more was said

Speech over a reply lowers the reply at once. What it was is known from its words: murmurs, echoes
and noise let the reply go on where it stopped, anything else takes the turn.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import grpc

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_coordinator.durability.state import SessionState
from voxmesh_coordinator.listening.microphone import Microphone
from voxmesh_coordinator.metrics.report_log import SessionReports
from voxmesh_coordinator.metrics.turn_metrics import TurnMetrics
from voxmesh_coordinator.registry import BackendRegistry
from voxmesh_coordinator.reply.parts import ReplyParts
from voxmesh_coordinator.reply.scheduler import ReplyScheduler
from voxmesh_coordinator.session.languages import SpokenLanguages
from voxmesh_coordinator.session.upkeep import select_for_languages
from voxmesh_coordinator.turn.endpointing import Endpointing
from voxmesh_coordinator.turn.events import (
    EndOfTurnPredicted,
    Event,
    FinalizeAnswered,
    ImageReceived,
    InputEnded,
    InterruptRequested,
    ListeningFailed,
    ListeningRecovered,
    ReplyDone,
    SpeechStarted,
    SpeechStopped,
    Typed,
    WordsHeard,
)
from voxmesh_coordinator.turn.overlap import Overlap
from voxmesh_coordinator.turn.user_turn import Pause, UserTurn
from voxmesh_routing.call_timing import UpstreamCallTiming
from voxmesh_routing.failures import ServiceFailed
from voxmesh_runtime.clock import duration

Response = conversation_pb2.ConverseResponse
MAX_EVENTS = 10_000
"""Far more than a session has in flight; a guard against a service that floods."""
POLL_S = 0.02
"""How closely a pause is watched, in seconds."""


class TurnController:
    """State of one conversation; only `run` changes it."""

    def __init__(
        self,
        services: BackendRegistry,
        *,
        reports: SessionReports,
        microphone: Callable[[Callable[[Event], None]], Microphone | None],
        parts: ReplyParts,
        endpointing: Endpointing,
        languages: SpokenLanguages,
        speculation: bool,
        send: Callable[[Response], None],
        state: SessionState,
    ) -> None:
        self._events = asyncio.Queue[Event](MAX_EVENTS)
        self.microphone = microphone(self.put)
        self._settings, self._clock = services.settings, services.clock
        self._reports = reports
        self._parts = parts
        self._endpointing = endpointing
        self._languages, self._send = languages, send
        self._streams = [*(self.microphone.streams if self.microphone is not None else ()), *parts.streams]
        select_for_languages(languages, self._streams)
        self._replies = ReplyScheduler(
            services, parts, state, speculation=speculation, send=send, put=self.put, report=self._report
        )
        self._turn: UserTurn | None = None
        self._finalizing: deque[UserTurn] = deque()
        self._images: list[bytes] = []
        self.input_sequence = state.proto.input_sequence
        self._input_ended = False
        self.is_deaf = False

    def put(self, event: Event) -> None:
        """Something happened."""
        self._events.put_nowait(event)

    def played(self, position: conversation_pb2.PlaybackPosition) -> None:
        """The client has played a reply so far."""
        self._replies.played(position)

    async def run(self) -> None:
        """Take events until the client ended its input and all is answered."""
        try:
            await self._replies.take_over()
            while not (self._input_ended and self.is_idle):
                await self._take(await self._next_event())
        finally:
            await self._replies.stop()

    @property
    def is_idle(self) -> bool:
        """Nobody speaks, and no answer is on its way."""
        return self._turn is None and not self._finalizing and not self._replies.is_running

    async def _next_event(self) -> Event | None:
        """The next event; None when it is time to look at the turn in progress again."""
        if self._turn is None:
            return await self._events.get()
        try:
            async with asyncio.timeout(POLL_S if self._turn.pause is not None else self._endpointing.max_wait_s):
                return await self._events.get()
        except TimeoutError:
            return None

    async def _take(self, event: Event | None) -> None:
        await self._handle(event)
        await self._look_at_turn()

    async def _handle(self, event: Event | None) -> None:
        match event:
            case SpeechStarted(offset_s):
                await self._speech_started(offset_s)
            case SpeechStopped(offset_s):
                await self._speech_stopped(offset_s)
            case EndOfTurnPredicted():
                self._pause_judged(event)
            case WordsHeard():
                await self._transcribed(event)
            case FinalizeAnswered():
                self._finalized(event)
            case ReplyDone():
                await self._replies.done(event)
                await self._move_if_asked()
            case ListeningFailed(failure):
                await self._listening_failed(failure)
            case ListeningRecovered():
                self.is_deaf = False
            case _:
                await self._handle_input(event)

    async def _handle_input(self, event: Event | None) -> None:
        self.input_sequence = getattr(event, "input_sequence", 0) or self.input_sequence
        match event:
            case Typed(text):
                await self._typed(text)
            case ImageReceived(image):
                self._images.append(image)
            case InterruptRequested():
                await self._replies.interrupt(conversation_pb2.ReplyFinished.REASON_CANCELLED)
            case InputEnded():
                self._stop_waiting()
            case _:
                self._notice_stall()

    # The person speaks.

    async def _speech_started(self, offset_s: float) -> None:
        self.is_deaf = False
        turn = self._turn
        is_news = turn is None or turn.pause is not None
        if turn is None:
            turn = self._turn = UserTurn(
                metrics=TurnMetrics(self._clock), began_s=offset_s, is_over_reply=self._replies.is_audible
            )
            if turn.is_over_reply:
                self._replies.hold()
        elif turn.pause is not None:
            believed = self._endpointing.believed(turn.pause.verdict(turn.latest_words), turn.words)
            self._endpointing.went_on(believed, max(0.0, offset_s - turn.pause.offset_s))
        turn.pause, turn.needs_finalize, turn.interim_hop = None, True, None
        turn.metrics.turn_endable_ns = None
        if is_news:
            self._send(Response(speech_started=duration(offset_s)))
            await self._replies.heard(turn)
        if self.microphone is not None:
            self.microphone.start_recognition(offset_s, turn.trace_context)

    async def _speech_stopped(self, offset_s: float) -> None:
        if self._turn is not None and self.microphone is not None:
            self._turn.pauses_at(self.microphone.timeline, offset_s, self.microphone.pause_s)
            await self._replies.paused(self._turn)

    def _pause_judged(self, judged: EndOfTurnPredicted) -> None:
        pause = self._turn.pause if self._turn is not None else None
        if pause is None or self.microphone is None:
            return
        pause.lasts(judged.silence_s)
        pause.probability, pause.judged_words = judged.probability, judged.words
        if pause.hop is None and judged.is_of_sound:
            # The sound is judged once; those that follow tell of longer silence, and of words.
            ready = self.microphone.detector.ready
            pause.hop = UpstreamCallTiming(f"turn/{ready.engine}", ready.host, is_listening=True, clock=self._clock)
            told_s = pause.offset_s + self.microphone.pause_s
            pause.hop.sent_ns = judged.sent_ns or self.microphone.timeline.time_ns(told_s) or self._clock.wall_ns()
            pause.hop.finish(judged.timing)

    def _notice_stall(self) -> None:
        """The client sends no audio in mid-speech: that is a pause too."""
        turn, microphone = self._turn, self.microphone
        if turn is None or turn.pause is not None or microphone is None:
            return
        silence_s = self._clock.now() - microphone.last_audio_at
        if silence_s >= self._endpointing.max_wait_s:
            turn.pauses_at(microphone.timeline, microphone.timeline.end_s, silence_s)

    def _stop_waiting(self) -> None:
        """Nothing will be said any more: the turn in progress is over, however it sounds."""
        self._input_ended = True
        turn, microphone = self._turn, self.microphone
        if turn is None or microphone is None:
            return
        pause = turn.pause or turn.pauses_at(microphone.timeline, microphone.timeline.end_s, 0.0)
        pause.lasts(self._endpointing.max_wait_s)

    async def _transcribed(self, event: WordsHeard) -> None:
        result = event.result
        if result.is_final or (self.microphone is not None and self.microphone.shows_interim_results):
            self._send(Response(transcript=result))
        turn = self._finalizing[0] if self._finalizing else self._turn
        if turn is None:
            return
        if turn.stt_hop is not None and self._finalizing:
            turn.stt_hop.output()
        if result.is_final:
            turn.texts.append(result.transcript)
            if self._languages.heard(result.language_code, result.transcript):
                select_for_languages(self._languages, self._streams)
        turn.interim = "" if result.is_final else result.transcript
        if turn is not self._turn or self.microphone is None:
            return
        turn.heard(event, self.microphone.recognizer.ready)
        self.microphone.report_words(turn.latest_words, result.language_code or self._languages.only)
        if turn.interim and turn.needs_finalize:
            await self._replies.heard(turn, is_whole=self._endpointing.sounds_complete(turn.words))
        if turn.is_over_reply and self._overlap(turn) is Overlap.INTERRUPTION:
            await self._interrupted_by(turn)

    def _finalized(self, event: FinalizeAnswered) -> None:
        if not self._finalizing:
            return
        turn = self._finalizing.popleft()
        turn.finalizing -= 1
        if turn.stt_hop is not None and self.microphone is not None:
            turn.stt_hop.served_by(self.microphone.recognizer.ready)
            turn.stt_hop.sent_ns = event.sent_ns or turn.stt_hop.sent_ns
            turn.stt_hop.finish(event.timing)

    # The turn in progress.

    async def _look_at_turn(self) -> None:
        """Do what is due for a turn that pauses."""
        turn, microphone = self._turn, self.microphone
        if turn is None or turn.pause is None or microphone is None:
            return
        pause = turn.pause
        outlook = self._endpointing.outlook(pause, turn)
        if not outlook.is_over or turn.metrics.turn_endable_ns is None:
            turn.metrics.turn_endable_ns = self._clock.wall_ns() if outlook.is_over else None
        if not turn.is_over_reply:
            if outlook.is_doubtful:
                await self._replies.give_up_early(turn)
            elif turn.needs_finalize and outlook.is_worth_a_try:
                self._prepare(turn, is_early=not outlook.is_judged)
            if not outlook.is_over and not (self._replies.speculates and outlook.is_worth_a_reply):
                return
        if turn.needs_finalize:
            # A final transcript cuts the sentence in two, should the person go on before there is an answer.
            if not self._is_said_soon(turn, pause):
                return
            await self._finalize(turn, microphone)
        if turn.is_transcribed:
            await self._go_ahead(turn, pause, is_over=outlook.is_over)

    async def _finalize(self, turn: UserTurn, microphone: Microphone) -> None:
        if turn.stt_hop is not None:
            turn.metrics.hops = [hop for hop in turn.metrics.hops if hop is not turn.stt_hop]
        turn.needs_finalize = False
        turn.finalizing += 1
        self._finalizing.append(turn)
        turn.stt_hop = turn.metrics.hop(f"stt/{microphone.recognizer.ready.engine}", microphone.recognizer.ready.host)
        microphone.finalize(turn.trace_context)

    async def _go_ahead(self, turn: UserTurn, pause: Pause, *, is_over: bool) -> None:
        """All that was said in a turn is known: prepare a reply, give it, or let the turn go."""
        if turn.is_over_reply:
            await self._judge_overlap(turn)
            if self._turn is not turn:
                return
        if not turn.text:
            if is_over:
                await self._let_go(turn)
            return
        if self._replies.prepared(turn) is None:
            await self._replies.drop_prepared()
            self._prepare(turn)
        if is_over and self._is_said_soon(turn, pause):
            await self._give(turn, pause)

    def _prepare(self, turn: UserTurn, *, is_early: bool = False) -> None:
        if self._replies.may_prepare(turn, is_early=is_early):
            turn.images, self._images = [*turn.images, *self._images], []
            self._replies.prepare(turn, is_early=is_early)

    def _is_said_soon(self, turn: UserTurn, pause: Pause) -> bool:
        """Nothing is gained by ending a turn before there is an answer: until then the person may go on."""
        return not self._replies.is_awaited(turn) or pause.silence_s >= self._endpointing.max_wait_s

    async def _give(self, turn: UserTurn, pause: Pause) -> None:
        self._turn = None
        self._endpointing.ended(pause.probability)
        metrics = turn.metrics
        metrics.turn_ended_ns = (
            self._clock.wall_ns() if self._replies.prepared(turn) is not None else metrics.turn_endable_ns
        )
        metrics.hops += [hop for hop in (pause.hop, turn.interim_hop) if hop is not None]
        if self.microphone is not None:
            self.microphone.begin_new_turn()
        await self._answer(turn)

    async def _let_go(self, turn: UserTurn) -> None:
        """It was no turn."""
        self._turn = None
        await self._replies.drop_prepared()
        self._replies.go_on()
        if self.microphone is not None:
            self.microphone.begin_new_turn()
            self.microphone.settle()
        turn.end()
        await self._move_if_asked()

    def _overlap(self, turn: UserTurn) -> Overlap:
        return self._replies.overlap(turn, self.microphone)

    async def _judge_overlap(self, turn: UserTurn) -> None:
        """Speech over a reply has paused, and its words are known."""
        if not self._replies.is_audible:  # It came to its end meanwhile: there was nothing to interrupt.
            turn.is_over_reply = False
            self._replies.go_on()
        elif self._overlap(turn) is Overlap.INTERRUPTION:
            await self._interrupted_by(turn)
        else:
            await self._let_go(turn)

    async def _interrupted_by(self, turn: UserTurn) -> None:
        turn.is_over_reply = False
        await self._replies.interrupt()

    async def _typed(self, text: str) -> None:
        await self._replies.drop_prepared()
        turn = UserTurn(metrics=TurnMetrics(self._clock), texts=[text])
        turn.metrics.turn_ended_ns = self._clock.wall_ns()
        await self._answer(turn)

    async def _answer(self, turn: UserTurn) -> None:
        turn.images, self._images = [*turn.images, *self._images], []
        await self._replies.give(turn)

    async def _report(self, turn: UserTurn) -> None:
        report = Response(turn_report=self._reports.make(turn))
        turn.end()
        self._send(report)

    # Trouble, and moving between turns.

    async def _listening_failed(self, failure: ServiceFailed) -> None:
        """No turn detection or recognition is left: the turns that depend on it fail, the session goes on."""
        if failure.code == grpc.StatusCode.INVALID_ARGUMENT:
            raise failure
        turn = self._turn
        if turn is None and not self.is_deaf:
            # Nobody spoke yet, but nobody would be heard either.
            turn = UserTurn(metrics=TurnMetrics(self._clock))
        self.is_deaf, self._turn = True, None
        self._finalizing.clear()
        await self._replies.drop_prepared()
        self._replies.go_on()
        if self.microphone is not None:
            self.microphone.discard_audio()
        if turn is not None:
            self._replies.number(turn)
            turn.texts.clear()
            self._replies.fail(turn, failure)
            turn.end()

    async def _move_if_asked(self) -> None:
        """Nobody speaks now: the time for streams to move to better servers."""
        for stream in self._streams:
            if self._turn is None or stream.slot not in {"turn", "stt"}:
                stream.move_if_better()
