"""Bridges to what still waits: listening, and the store of what is sent. Both go once those enqueue by themselves."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

import grpc

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.listening.microphone import Microphone
from voxmesh_coordinator.turn.events import Event, FinalizeAnswered, ListeningFailed, SpeechStarted
from voxmesh_routing.failures import ServiceFailed
from voxmesh_runtime.clock import Clock

log = logging.getLogger(__name__)

Response = conversation_pb2.ConverseResponse
Record = session_pb2.Record
Job = Callable[[], Awaitable[object]]


class Jobs:
    """Does one thing after another, beside who asks for them."""

    def __init__(self) -> None:
        self._jobs = deque[Job]()
        self.task: asyncio.Task[None] | None = None

    def put(self, job: Job) -> None:
        """Do it after those before it."""
        self._jobs.append(job)
        if self.task is None:
            self.task = asyncio.create_task(self._work())

    def cancel(self) -> None:
        """Leave what is not done."""
        if self.task is not None:
            self.task.cancel()

    async def done(self) -> None:
        """Wait until all is done."""
        while (task := self.task) is not None:
            await asyncio.wait({task})

    async def _work(self) -> None:
        try:
            while self._jobs:
                try:
                    await self._jobs.popleft()()
                except Exception:
                    log.exception("a job of a session failed")
        finally:
            self.task = None


class SendBridge:
    """Sends responses and takes notes in one order, beside who makes them.

    Args:
        send: to the client.
        note: keeps a note with the next response.
    """

    def __init__(self, send: Callable[[Response], Awaitable[None]], note: Callable[[Record], None]) -> None:
        self._send, self._note = send, note
        self._jobs = Jobs()

    def send(self, response: Response) -> None:
        """Send it after all that came before."""
        self._jobs.put(partial(self._send, response))

    def note(self, record: Record) -> None:
        """Keep it in its place among what is sent."""
        if self._jobs.task is None:
            self._note(record)
        else:
            self._jobs.put(partial(self._take_note, record))

    async def writable(self) -> None:
        """Wait until all is sent."""
        await self._jobs.done()

    def pending(self) -> frozenset[asyncio.Task[None]]:
        """What has to be over before the history holds all that was sent."""
        return frozenset([self._jobs.task] if self._jobs.task is not None else ())

    def cancel(self) -> None:
        """Send nothing more."""
        self._jobs.cancel()

    async def _take_note(self, record: Record) -> None:
        self._note(record)


class ListeningBridge:
    """A microphone whose methods wait for nothing, and which keeps itself on backends that answer.

    Args:
        clock: of the process.
        put: takes what is heard, and that nobody hears any more.
    """

    def __init__(self, clock: Clock, put: Callable[[Event], None]) -> None:
        self._clock, self._put = clock, put
        self._jobs = Jobs()
        self._is_lost = False
        self._asked_ns = 0
        self._unanswered = 0
        self._was_left = False
        self._patience: asyncio.TimerHandle | None = None

    def begin(self, microphone: Microphone) -> None:
        """Serve this one."""
        self._microphone = microphone

    def start(self) -> None:
        """The session begins; its streams were opened, as far as they could be."""
        self._is_lost = not self._microphone.turn.is_open

    @property
    def is_lost(self) -> bool:
        """Nobody hears what is said, and it was told so."""
        return self._is_lost

    def hear(self, event: Event) -> None:
        """The microphone has something to tell."""
        match event:
            case ListeningFailed(failure):
                self.failed(failure)
                return
            case SpeechStarted():
                self._is_lost = False
            case FinalizeAnswered():
                event = self._answered(event)
            case _:
                pass
        self._put(event)

    def start_recognition(self, from_s: float, parent: common_pb2.TraceContext) -> None:
        """Recognise what is said from a little before that on."""
        self._do(partial(self._microphone.start_recognizing, from_s, parent))

    def finalize(self, parent: common_pb2.TraceContext) -> None:
        """All that was said so far is wanted as final."""
        self._asked_ns, self._was_left = self._clock.wall_ns(), False
        self._unanswered += 1
        self._do(partial(self._microphone.finalize, parent))
        self._watch()

    def report_words(self, text: str, language_code: str) -> None:
        """These are the latest words of the turn in progress."""
        self._do(partial(self._microphone.understood, text, language_code))

    def begin_new_turn(self) -> None:
        """The turn is over, and its transcript complete."""
        self._microphone.mark_end_of_turn()
        self._do(self._microphone.end_turn)

    def discard_audio(self) -> None:
        """The turn failed."""
        self._stop_watching()
        self._microphone.mark_end_of_turn(has_failed=True)
        self._do(self._microphone.stop_recognizing)

    def settle(self) -> None:
        """Nobody needs the audio of the turn that ended last."""
        self._microphone.settle()

    def failed(self, failure: ServiceFailed) -> None:
        """A stream of the microphone broke."""
        self._jobs.put(partial(self._recover, failure))

    def cancel(self) -> None:
        """The session is over."""
        self._stop_watching()
        self._jobs.cancel()

    def _do(self, job: Job) -> None:
        async def work() -> None:
            try:
                await job()
            except ServiceFailed as failure:
                await self._recover(failure)

        self._jobs.put(work)

    async def _recover(self, failure: ServiceFailed) -> None:
        """Listening goes on, on another backend or on the same one come back; nothing that was said is lost."""
        if self._is_lost and failure.code != grpc.StatusCode.INVALID_ARGUMENT:
            return
        if failure.is_worth_another_try:
            try:
                await self._microphone.recover()
            except ServiceFailed:
                pass
            else:
                return
        self._is_lost = True
        self._stop_watching()
        self._put(ListeningFailed(failure))

    def _answered(self, event: FinalizeAnswered) -> FinalizeAnswered:
        if not self._unanswered:
            return event
        self._unanswered -= 1
        if not self._unanswered:
            self._stop_watching()
        self._microphone.stt.backend.answered((self._clock.wall_ns() - self._asked_ns) / 1e9)
        return replace(event, sent_ns=self._asked_ns) if self._was_left else event

    def _watch(self) -> None:
        """A recogniser that takes far longer than it usually does is left, if there is another."""
        if self._patience is not None:
            self._patience.cancel()
        patience_s = self._microphone.stt.patience_s
        if patience_s is not None:
            self._patience = asyncio.get_running_loop().call_later(patience_s, self._do, self._leave)

    def _stop_watching(self) -> None:
        self._unanswered = 0
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    async def _leave(self) -> None:
        stt, problem = self._microphone.stt, "takes far longer than it usually does"
        await stt.leave(ServiceFailed(stt.backend.label, grpc.StatusCode.DEADLINE_EXCEEDED, problem))
        self._asked_ns, self._was_left = self._clock.wall_ns(), True
        await self._microphone.recover()
        self._watch()
