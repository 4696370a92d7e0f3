"""The one who decides in a session: takes events one after another, ends turns, starts and stops replies."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import grpc

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_coordinator.endpointing import Endpointing
from voxmesh_coordinator.events import (
    Event,
    Finalized,
    InputEnded,
    InterruptAsked,
    LinkFailed,
    PauseJudged,
    ReplyDone,
    Shown,
    SpeechStarted,
    SpeechStopped,
    Transcribed,
    Typed,
)
from voxmesh_coordinator.failures import ServiceFailed
from voxmesh_coordinator.history import History
from voxmesh_coordinator.link import Link
from voxmesh_coordinator.microphone import Microphone
from voxmesh_coordinator.reply import Reply, Voices
from voxmesh_coordinator.report import HopClock
from voxmesh_coordinator.services import Services
from voxmesh_coordinator.user_turn import UserTurn
from voxmesh_coordinator.vision import look
from voxmesh_runtime.clock import duration, seconds_of
from voxmesh_runtime.errors import first_error

log = logging.getLogger(__name__)

Response = conversation_pb2.ConverseResponse

MAX_EVENTS = 10_000
"""Far more than a session has in flight; a guard against a service that floods."""


class Conductor:
    """State of one conversation; only `run` changes it."""

    def __init__(
        self,
        services: Services,
        *,
        microphone: Callable[[Callable[[Event], None]], Microphone | None],
        voices: Voices,
        history: History,
        endpointing: Endpointing,
        send: Callable[[Response], Awaitable[None]],
    ) -> None:
        self._events = asyncio.Queue[Event](MAX_EVENTS)
        self.microphone = microphone(self.put)
        self._services = services
        self._voices = voices
        self._history = history
        self._endpointing = endpointing
        self._send = send
        self._speaking: UserTurn | None = None
        self._ending: deque[UserTurn] = deque()
        self._answering: UserTurn | None = None
        self._reply: Reply | None = None
        self._reply_task: asyncio.Task[None] | None = None
        self._images: list[bytes] = []
        self._next_index = 0
        self._input_ended = False
        self._is_deaf = False

    def put(self, event: Event) -> None:
        """Something happened."""
        self._events.put_nowait(event)

    def played(self, position: conversation_pb2.PlaybackPosition) -> None:
        """The client has played a reply so far."""
        turn = self._answering
        if self._reply is not None and turn is not None and position.turn_index == turn.clock.turn_index:
            self._reply.ledger.played(seconds_of(position.offset))

    async def run(self) -> None:
        """Take events until the client ended its input and all is answered."""
        try:
            while not (self._input_ended and self._is_idle):
                await self._take(await self._next_event())
        finally:
            await self._stop_reply_task()

    @property
    def _is_idle(self) -> bool:
        return self._speaking is None and not self._ending and self._reply_task is None

    async def _next_event(self) -> Event | None:
        """The next event; None when somebody is speaking and no audio comes any more."""
        if self._speaking is None or self.microphone is None:
            return await self._events.get()
        try:
            async with asyncio.timeout(self._endpointing.max_wait_s + 0.1):
                return await self._events.get()
        except TimeoutError:
            return None

    async def _take(self, event: Event | None) -> None:
        try:
            await self._handle(event)
        except ServiceFailed as failure:
            await self._listening_failed(failure)

    async def _handle(self, event: Event | None) -> None:
        match event:
            case SpeechStarted(offset_s):
                await self._speech_started(offset_s)
            case SpeechStopped(offset_s):
                self._speech_stopped(offset_s)
            case PauseJudged():
                await self._pause_judged(event)
            case Transcribed():
                await self._transcribed(event)
            case Finalized():
                await self._finalized(event)
            case ReplyDone():
                await self._reply_done(event)
            case LinkFailed(failure):
                await self._listening_failed(failure)
            case _:
                await self._handle_input(event)

    async def _handle_input(self, event: Event | None) -> None:
        match event:
            case Typed(text):
                await self._typed(text)
            case Shown(image):
                self._images.append(image)
            case InterruptAsked():
                await self._interrupt()
            case InputEnded():
                self._input_ended = True
                await self._end_turn()
            case _:
                await self._audio_stalled()

    # The person speaks.

    async def _speech_started(self, offset_s: float) -> None:
        self._is_deaf = False
        await self._interrupt()
        if self._speaking is None:
            self._speaking = UserTurn()
        self._speaking.is_speaking = True
        await self._send(Response(speech_started=duration(offset_s)))
        if self.microphone is not None:
            await self.microphone.start_recognizing(offset_s, self._speaking.trace_context)

    def _speech_stopped(self, offset_s: float) -> None:
        turn = self._speaking
        if turn is not None and self.microphone is not None:
            turn.is_speaking, turn.pause_hop, turn.paused_at_s = False, None, offset_s
            turn.clock.speech_ended_ns = self.microphone.clock.time_ns(offset_s)

    async def _pause_judged(self, pause: PauseJudged) -> None:
        turn, microphone = self._speaking, self.microphone
        if turn is None or turn.is_speaking or microphone is None:
            return
        if turn.pause_hop is None:
            # The first judgement is the model's; those that follow only tell of longer silence.
            turn.pause_hop = HopClock(f"turn/{microphone.turn.ready.engine}", microphone.turn.ready.host)
            turn.pause_hop.sent_ns = microphone.clock.time_ns(turn.paused_at_s + microphone.pause_s) or time.time_ns()
            turn.pause_hop.finish(pause.timing)
        if self._endpointing.is_over(pause.probability, pause.silence_s):
            turn.clock.hops.append(turn.pause_hop)
            await self._end_turn()

    async def _audio_stalled(self) -> None:
        """The client sends no audio in mid-speech: that is a pause too."""
        if self.microphone is None or self._speaking is None:
            return
        if time.monotonic() - self.microphone.last_audio_at >= self._endpointing.max_wait_s:
            await self._end_turn()

    async def _end_turn(self) -> None:
        turn, microphone = self._speaking, self.microphone
        if turn is None or microphone is None:
            return
        self._speaking = None
        turn.clock.turn_ended_ns = time.time_ns()
        if turn.clock.speech_ended_ns is None:
            turn.clock.speech_ended_ns = microphone.clock.time_ns(microphone.clock.offset_s)
        self._ending.append(turn)
        turn.stt_hop = turn.clock.hop(f"stt/{microphone.stt.ready.engine}", microphone.stt.ready.host)
        await microphone.finalize(turn.trace_context)

    async def _transcribed(self, event: Transcribed) -> None:
        await self._send(Response(transcript=event.result))
        turn = self._ending[0] if self._ending else self._speaking
        if turn is None:
            return
        if turn.stt_hop is not None:
            turn.stt_hop.output()
        if event.result.is_final:
            turn.texts.append(event.result.transcript)

    async def _finalized(self, event: Finalized) -> None:
        if not self._ending:
            return
        turn = self._ending.popleft()
        if turn.stt_hop is not None:
            turn.stt_hop.finish(event.timing)
        if self._speaking is not None:
            # They went on speaking: it is one turn after all.
            self._speaking.texts.insert(0, turn.text)
            turn.end()
        elif turn.text:
            await self._answer(turn)
        else:
            turn.end()
            await self._move_if_asked()

    async def _typed(self, text: str) -> None:
        await self._interrupt()
        turn = UserTurn(texts=[text], is_speaking=False)
        turn.clock.turn_ended_ns = time.time_ns()
        await self._answer(turn)

    # The reply.

    async def _answer(self, turn: UserTurn) -> None:
        await self._interrupt()
        turn.clock.turn_index, self._next_index = self._next_index, self._next_index + 1
        turn.images, self._images = self._images, []
        ended = conversation_pb2.TurnEnded(turn_index=turn.clock.turn_index, text=turn.text)
        await self._send(Response(turn_ended=ended))
        self._answering, self._reply = turn, None
        self._reply_task = asyncio.create_task(self._run_reply(turn))

    async def _run_reply(self, turn: UserTurn) -> None:
        failure: ServiceFailed | None = None
        try:
            await self._compose(turn)
        except* ServiceFailed as failures:
            cause = first_error(failures)
            failure = cause if isinstance(cause, ServiceFailed) else None
        except* Exception:
            # A bug of ours costs the turn, not the session, which would wait for this reply for ever.
            log.exception("replying failed")
            failure = ServiceFailed("coordinator", grpc.StatusCode.INTERNAL, "internal error; its log says more")
        self.put(ReplyDone(turn.clock.turn_index, failure))

    async def _compose(self, turn: UserTurn) -> None:
        self._history.add_user(turn.text)
        if turn.images:
            seen = await look(self._services, turn.images, turn.text, turn.clock, turn.trace_context)
            self._history.add_user(seen)
        self._reply = Reply(turn, self._history.messages(), self._voices)
        await self._reply.run()

    async def _reply_done(self, event: ReplyDone) -> None:
        turn = self._answering
        if turn is None or turn.clock.turn_index != event.turn_index or self._reply_task is None:
            return
        self._reply_task = None
        if event.failure is None:
            self._history.add_reply(self._reply.ledger.text if self._reply is not None else "")
        else:
            await self._turn_failed(turn, event.failure)
        await self._report(turn)
        await self._move_if_asked()

    async def _interrupt(self) -> None:
        """Stop the reply in progress on every hop; the history keeps what was heard."""
        turn, reply = self._answering, self._reply
        is_running = self._reply_task is not None
        await self._stop_reply_task()
        if turn is None or not (is_running or (reply is not None and reply.ledger.is_playing)):
            return
        heard = reply.ledger.heard_text() if reply is not None else ""
        if is_running:
            self._history.add_reply(heard)
        else:
            self._history.cut_reply(heard)
        self._answering = self._reply = None
        interrupted = conversation_pb2.Interrupted(turn_index=turn.clock.turn_index, heard_text=heard)
        await self._send(Response(interrupted=interrupted))
        if is_running:
            await self._report(turn)

    async def _stop_reply_task(self) -> None:
        task, self._reply_task = self._reply_task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _report(self, turn: UserTurn) -> None:
        report = turn.clock.to_proto(turn.trace_id)
        turn.end()
        await self._send(Response(turn_report=report))

    # Trouble, and moving between turns.

    async def _listening_failed(self, failure: ServiceFailed) -> None:
        """Turn detection or recognition broke: the turns that depend on it fail, the session goes on."""
        if failure.code == grpc.StatusCode.INVALID_ARGUMENT:
            raise failure
        turns = [*self._ending, *([self._speaking] if self._speaking is not None else [])]
        if not turns and not self._is_deaf:
            # Nobody spoke yet, but nobody would be heard either.
            turns = [UserTurn()]
        self._is_deaf = True
        self._ending.clear()
        self._speaking = None
        if self.microphone is not None:
            await self.microphone.stop_recognizing()
        for turn in turns:
            turn.clock.turn_index, self._next_index = self._next_index, self._next_index + 1
            await self._turn_failed(turn, failure)
            turn.end()

    async def _turn_failed(self, turn: UserTurn, failure: ServiceFailed) -> None:
        if failure.code == grpc.StatusCode.INVALID_ARGUMENT:
            self._history.drop_user()
        failed = conversation_pb2.TurnFailed(
            turn_index=turn.clock.turn_index, code=failure.number, message=failure.message, details=failure.packed
        )
        await self._send(Response(turn_failed=failed))

    async def _move_if_asked(self) -> None:
        """Streams whose server is going away are opened anew, now that nobody speaks."""
        links: list[Link[Any, Any]] = [self._voices.language_model.link]
        if self._voices.speech is not None:
            links.append(self._voices.speech.link)
        if self.microphone is not None and self._speaking is None:
            links += [self.microphone.turn, self.microphone.stt]
        for link in links:
            if link.is_going_away:
                # A link that cannot be opened now is opened when it is needed.
                with suppress(ServiceFailed):
                    await link.move()
