"""Drives a session: takes events one after another, asks the turn machine what to do, and has its adapters do it.

client, services ──event──► put ──► machine.step ──commands──► listening, replies, responses
                                        ▲    └──► next deadline ──┐
                                        └─────────────────────────┘
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import grpc

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_coordinator.durability.state import SessionState
from voxmesh_coordinator.languages import SpokenLanguages
from voxmesh_coordinator.listening.microphone import Microphone
from voxmesh_coordinator.registry import BackendRegistry
from voxmesh_coordinator.reply.ending import failure_end, turn_failed
from voxmesh_coordinator.reply.parts import ReplyParts
from voxmesh_coordinator.reply.scheduler import ReplyScheduler, Report
from voxmesh_coordinator.reply.user_turn import UserTurn
from voxmesh_coordinator.session.adapters.overlap import OverlapJudge
from voxmesh_coordinator.session.adapters.timing import TurnTiming
from voxmesh_coordinator.turn import commands as do
from voxmesh_coordinator.turn import machine
from voxmesh_coordinator.turn.commands import Command
from voxmesh_coordinator.turn.events import DeadlineReached, Event, ListeningFailed, OverlapJudged, WordsHeard
from voxmesh_coordinator.turn.state import TurnState
from voxmesh_routing.failover import FailoverStream
from voxmesh_runtime.clock import duration

Response = conversation_pb2.ConverseResponse
LISTENING = ("turn", "stt")
"""Slots of the streams that listen."""
MAX_EVENTS = 10_000
"""Far more than a session has in flight; a guard against a service that floods."""


class TurnController:
    """One conversation; only `run` takes events, and nothing in it waits but for the next one.

    Args:
        services: behind the coordinator.
        turn_state: how the turn-taking begins.
        report: makes the report of a turn.
        microphone: makes the microphone, which gives its events to a function; None in a conversation that is typed.
        parts: what replies are made with.
        state: of the session; what is sent to the client changes it.
        languages: that are spoken.
        send: to the client.
    """

    def __init__(
        self,
        services: BackendRegistry,
        *,
        turn_state: TurnState,
        report: Report,
        microphone: Callable[[Callable[[Event], None]], Microphone | None],
        parts: ReplyParts,
        state: SessionState,
        languages: SpokenLanguages,
        send: Callable[[Response], None],
    ) -> None:
        self._events = asyncio.Queue[Event](MAX_EVENTS)
        self._clock, self._state, self._session = services.clock, turn_state, state
        self._languages, self._send = languages, send
        self.microphone = microphone(self.put)
        self.streams: list[FailoverStream[Any, Any, Any]] = [
            *(self.microphone.streams if self.microphone is not None else ()),
            *parts.streams,
        ]
        self._select_for_languages()
        self._judge = None
        if self.microphone is not None:
            self._judge = OverlapJudge(services.settings, self.microphone, parts.sent_audio)
        self._timing = TurnTiming(services.clock, self.microphone)
        self._replies = ReplyScheduler(services, parts, report, send=send, put=self.put)

    def begin_deaf(self) -> None:
        """The session begins without turn detection, and its client knows."""
        self._state = replace(self._state, recognition_failed=True)

    def put(self, event: Event) -> None:
        """Something happened."""
        self._events.put_nowait(event)

    def played(self, position: conversation_pb2.PlaybackPosition) -> None:
        """The client has played a reply so far."""
        if (event := self._replies.played(position)) is not None:
            self.put(event)

    @property
    def is_idle(self) -> bool:
        """Nobody speaks, and no answer is on its way."""
        return self._state.is_idle

    @property
    def input_sequence(self) -> int:
        """The client's number of the last text or picture that was taken."""
        return self._state.input_sequence

    async def run(self) -> None:
        """Take events until the client ended its input and all is answered.

        Raises:
            ServiceFailed: a service refuses what the client sends.
        """
        try:
            if (event := self._replies.take_over(0)) is not None:
                self._take(event)
            while not self._state.is_over:
                self._take(await self._next_event())
        finally:
            await self._replies.stop()

    async def _next_event(self) -> Event:
        due = machine.next_deadline(self._state)
        if due is None:
            return await self._events.get()
        try:
            async with asyncio.timeout(max(0.0, due - self._clock.now())):
                return await self._events.get()
        except TimeoutError:
            if self.microphone is None:
                return DeadlineReached()
            return DeadlineReached(self.microphone.last_audio_at, self.microphone.timeline.end_s)

    def _take(self, event: Event) -> None:
        """Step, and do what is to be done; what that has for an answer comes before any other event."""
        following = deque([event])
        while following:
            event = following.popleft()
            self._pass_by(event)
            now = self._clock.now()
            if isinstance(event, DeadlineReached):
                # A timer may be early by less than the clock can tell.
                now = max(now, machine.next_deadline(self._state) or now)
            self._state, commands = machine.step(self._state, event, now)
            for command in commands:
                if (answer := self._perform(command)) is not None:
                    following.append(answer)

    def _pass_by(self, event: Event) -> None:
        """What goes past the machine: transcripts to the client, stamps to the metrics."""
        match event:
            case WordsHeard():
                if event.is_final or (self.microphone is not None and self.microphone.settings.shows_interim_results):
                    self._send(Response(transcript=event.result))
                if event.is_final and self._state.turn is not None:
                    self._hear_language(event)
            case ListeningFailed(failure) if failure.code == grpc.StatusCode.INVALID_ARGUMENT:
                raise failure
            case _:
                pass
        self._timing.note(event, self._state)

    def _hear_language(self, event: WordsHeard) -> None:
        if self._languages.heard(event.language_code, event.text):
            self._select_for_languages()

    def _select_for_languages(self) -> None:
        """The languages that are spoken changed: between turns streams move to the best backends for them."""
        current = self._languages.current
        for stream in self.streams:
            if stream.slot == "stt":
                stream.languages = current
            elif stream.slot == "tts":
                # A reply is in one language.
                stream.languages = current[-1:]

    def _perform(self, command: Command) -> OverlapJudged | None:
        """Do it; gives the answer to a question."""
        match command:
            case do.JudgeOverlap() if self._judge is not None:
                return self._judge.answer(command, self._replies.playout)
            case do.SendSpeechStarted(offset_s):
                self._send(Response(speech_started=duration(offset_s)))
            case do.CommitTurn():
                self._timing.commit(command, self._session.proto.next_turn_index)
                self._replies.release(command.text)
            case do.FailTurn(turn_id, failure):
                index = self._session.proto.next_turn_index
                self._send(turn_failed(index, failure_end(failure).failed))
                self._timing.end(turn_id, index)
            case do.DiscardTurn(turn_id):
                self._timing.end(turn_id)
            case do.MoveStreams(is_silent):
                for stream in self.streams:
                    if is_silent or stream.slot not in LISTENING:
                        stream.move_if_better()
            case _:
                self._perform_on_reply(command)
                if self.microphone is not None:
                    self._perform_on_microphone(command, self.microphone)
        return None

    def _perform_on_microphone(self, command: Command, microphone: Microphone) -> None:
        match command:
            case do.StartRecognition(turn_id, from_s):
                microphone.start_recognition(from_s, self._timing.of(turn_id).trace_context)
            case do.Finalize(turn_id):
                self._timing.asks_for_finals(turn_id)
                microphone.finalize(self._timing.of(turn_id).trace_context)
            case do.ReportWords(text, language_code):
                microphone.report_words(text, language_code or self._languages.only)
            case do.BeginNewTurn(is_settled):
                microphone.begin_new_turn()
                if is_settled:
                    microphone.settle()
            case do.DiscardAudio():
                microphone.discard_audio()
            case _:
                pass

    def _perform_on_reply(self, command: Command) -> None:
        replies = self._replies
        match command:
            case do.Prefill(words):
                replies.prefill(words)
            case do.PrepareReply(reply_id, turn_id, words, images):
                replies.prepare(reply_id, UserTurn(words, self._timing.of(turn_id), images))
            case do.DropReply():
                replies.drop()
            case do.HoldReply():
                replies.hold()
            case do.ResumeReply():
                replies.resume()
            case do.InterruptReply():
                replies.interrupt(command)
            case do.FinishReply():
                replies.finish()
            case _:
                pass
