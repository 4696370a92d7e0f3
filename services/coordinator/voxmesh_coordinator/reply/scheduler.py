"""The replies of a session: at most one that is being given, and one that is being prepared."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import grpc

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.llm.v1 import llm_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.durability.state import CUT, Reason, ReplyFinished, SessionState, is_over
from voxmesh_coordinator.listening.microphone import Microphone
from voxmesh_coordinator.metrics.turn_metrics import TurnMetrics
from voxmesh_coordinator.registry import BackendRegistry
from voxmesh_coordinator.reply.ending import failure_end
from voxmesh_coordinator.reply.parts import ReplyParts
from voxmesh_coordinator.reply.pipeline import ReplyPipeline
from voxmesh_coordinator.reply.playout_gate import PlayoutGate
from voxmesh_coordinator.session.echo import classify_speaker
from voxmesh_coordinator.turn.events import Event, ReplyDone, ReplyReady
from voxmesh_coordinator.turn.overlap import Overlap, judge
from voxmesh_coordinator.turn.user_turn import UserTurn, is_same_speech
from voxmesh_routing.failures import ServiceFailed
from voxmesh_runtime import names
from voxmesh_runtime.clock import seconds_of
from voxmesh_runtime.errors import first_error
from voxmesh_runtime.telemetry import start_span

log = logging.getLogger(__name__)

Response = conversation_pb2.ConverseResponse

WORDS_READ_AT_ONCE = 3
"""Words that are worth a request to the language model to read them."""


@dataclass(slots=True, eq=False)
class SpeechHandle:
    """A reply and its task; the task ends before the audio is played."""

    reply: ReplyPipeline
    task: asyncio.Task[None]
    is_done: bool = False
    is_early: bool = False
    """Begun before it was judged how likely the turn is over."""


class ReplyScheduler:
    """Prepares, gives and stops replies; used by the conductor alone.

    Args:
        services: for pictures, and settings.
        parts: what replies are made with.
        state: of the session; what is sent to the client changes it.
        speculation: prepare replies before a turn is over.
        send: to the client.
        put: takes events for the conductor.
        report: tells the client of a turn that is over.
    """

    def __init__(
        self,
        services: BackendRegistry,
        parts: ReplyParts,
        state: SessionState,
        *,
        speculation: bool,
        send: Callable[[Response], None],
        put: Callable[[Event], None],
        report: Callable[[UserTurn], Awaitable[None]],
    ) -> None:
        self._services = services
        self._parts = parts
        self._state = state
        self.speculates = speculation
        self._send = send
        self._put = put
        self._report = report
        self._draft: SpeechHandle | None = None
        self._given: SpeechHandle | None = None

    @property
    def is_running(self) -> bool:
        """A reply is being given; its audio may still be on its way to the person's ear after that."""
        return self._given is not None and not self._given.is_done

    @property
    def is_audible(self) -> bool:
        """There is a reply that speech would be over: one in preparation for a turn that is over, or being played."""
        return self._given is not None and (not self._given.is_done or self._given.reply.playout.is_playing)

    def overlap(self, turn: UserTurn, microphone: Microphone | None) -> Overlap:
        """What speech over the reply is by now, by its words and its sound."""
        if self._given is None or microphone is None:
            return judge(turn.words, "", self._services.settings.backchannels, is_final=not turn.interim)
        playout = self._given.reply.playout
        return judge(
            turn.words,
            playout.being_said(),
            self._services.settings.backchannels,
            is_final=not turn.interim,
            interruptions=self._services.settings.interruptions,
            source=lambda: classify_speaker(turn, microphone, playout, self._parts.audio.sent),
        )

    def played(self, position: conversation_pb2.PlaybackPosition) -> None:
        """The client has played a reply so far."""
        given = self._given
        if given is not None and position.turn_index == given.reply.turn.metrics.turn_index:
            given.reply.playout.played(seconds_of(position.offset))

    # Preparing.

    async def heard(self, turn: UserTurn, *, is_whole: bool = False) -> None:
        """More was said: what does not answer it is thrown away, and the language model reads on.

        Args:
            turn: in progress.
            is_whole: nothing seems to be missing of it.
        """
        draft = self._draft
        if draft is not None and not is_same_speech(draft.reply.text_answered, turn.words):
            await self.drop_prepared()
        new = len(turn.words.split()) - turn.words_read
        # What a reply is about to be prepared for is read then, and to read it now would only hold that up.
        if turn.pause is None and not is_whole and (new >= WORDS_READ_AT_ONCE or not turn.words):
            turn.words_read += new
            await self._read_ahead(turn.words)

    async def paused(self, turn: UserTurn) -> None:
        """The person pauses: while the last words are recognised there is time to read those before them."""
        new = len(turn.words.split()) - turn.words_read
        if new > 0:
            turn.words_read += new
            await self._read_ahead(turn.words)

    async def _read_ahead(self, words: str = "") -> None:
        if self.speculates and self._draft is None and not self.is_running:
            messages = self._state.history.request(self._parts.system_prompt, [words] if words else [])
            self._parts.language_model.prefill(llm_pb2.Generate(messages=messages, tools=self._parts.tools.tools))

    def may_prepare(self, turn: UserTurn, *, is_early: bool) -> bool:
        """Nothing is being prepared, and not too much was in this turn; only the first try may be an early one."""
        tries = 1 if is_early else self._services.settings.max_speculations
        return self.speculates and self._draft is None and turn.speculations < tries

    def prepare(self, turn: UserTurn, *, is_early: bool) -> None:
        """Begin a reply that nobody hears before `give`; an early one begins before the turn is judged."""
        turn.speculations += 1
        self._draft = self._start(turn, is_open=False)
        self._draft.is_early = is_early

    async def give_up_early(self, turn: UserTurn) -> None:
        """The turn was judged and is probably not over: a try that began before ends, and counts for none."""
        if self._draft is not None and self._draft.is_early:
            await self.drop_prepared()
            turn.speculations -= 1

    def prepared(self, turn: UserTurn) -> SpeechHandle | None:
        """The reply in preparation, if it answers all that was said in the turn, as far as that is known."""
        draft = self._draft
        if draft is None or draft.reply.has_failed:
            return None
        is_answer = draft.reply.turn is turn and is_same_speech(draft.reply.text_answered, turn.words)
        return draft if is_answer else None

    def is_awaited(self, turn: UserTurn) -> bool:
        """A reply to all that was said is in preparation, and has nothing to say yet."""
        draft = self.prepared(turn)
        return draft is not None and not draft.reply.gate.is_ready

    async def drop_prepared(self) -> None:
        """Throw away the reply in preparation, without a trace but for its cost."""
        draft, self._draft = self._draft, None
        if draft is None:
            return
        await _stop(draft.task)
        turn = draft.reply.turn
        turn.seen = ""
        turn.metrics.discard(draft.reply.hops)

    # Giving.

    async def give(self, turn: UserTurn) -> None:
        """Say the reply to a turn that is over, from what was prepared if that is of use, instead of the one before."""
        await self.interrupt()
        self.number(turn)
        draft = self.prepared(turn)
        if draft is None:
            await self.drop_prepared()
            draft = self._start(turn, is_open=True)
        self._draft = None
        self._given = draft
        seen = turn.seen or None
        images = turn.images if seen is None else ()
        self._parts.note(session_pb2.Record(images=images, seen=seen, trace_context=turn.trace_context))
        ended = conversation_pb2.TurnEnded(turn_index=turn.metrics.turn_index, text=turn.text)
        self._send(Response(turn_ended=ended))
        draft.reply.gate.open()
        if draft.is_done:
            await self._finish(draft)

    def number(self, turn: UserTurn) -> None:
        """Give a turn that is over its index."""
        turn.metrics.turn_index = self._state.proto.next_turn_index

    async def take_over(self) -> None:
        """Give the reply that another coordinator began from where that stopped, or know what it gave."""
        saved = session_pb2.Reply()
        saved.CopyFrom(self._state.proto.reply)
        if self._state.proto.HasField("reply"):
            span = start_span(names.SPAN_TURN, saved.trace_context)
            turn = UserTurn(
                span, TurnMetrics(self._services.clock), texts=[saved.said], images=list(saved.images), seen=saved.seen
            )
            turn.metrics.turn_index, turn.metrics.turn_ended_ns = saved.turn_index, self._services.clock.wall_ns()
            self._given = self._start(turn, is_open=True, saved=saved)
            if self._given.is_done and not saved.is_done:
                # It was over, and not all of that was told.
                await self._conclude(self._given)
        # Who speaks over it is heard again, and then it is judged again.
        self.go_on()

    async def done(self, event: ReplyDone) -> None:
        """A reply came to its end or failed."""
        for running in (self._draft, self._given):
            if running is not None and running.reply is event.reply:
                running.is_done = True
        if self._given is not None and self._given.reply is event.reply:
            await self._finish(self._given)

    def hold(self) -> None:
        """Somebody speaks over the reply: lower it, and send nothing more of it until it is known why."""
        if self._given is None or self._state.proto.is_ducked:
            return
        self._given.reply.gate.hold()
        self._send(Response(duck=conversation_pb2.Duck(gain=self._services.settings.duck_gain)))

    def go_on(self) -> None:
        """It was nothing: the reply goes on where it stopped."""
        if not self._state.proto.is_ducked:
            return
        self._unduck()
        if self._given is not None:
            self._given.reply.gate.open()

    async def interrupt(self, reason: Reason = ReplyFinished.REASON_INTERRUPTED) -> None:
        """Stop the reply on every hop; the history keeps what was heard."""
        given, self._given = self._given, None
        if given is not None:
            await _stop(given.task)
        if given is None or (given.is_done and not given.reply.playout.is_playing):
            self._unduck()
            return
        reply = given.reply
        if not given.is_done:
            reply.end.reason = reason
            self._parts.note(session_pb2.Record(end=reply.end))
        heard = reply.playout.heard_text()
        interrupted = conversation_pb2.Interrupted(turn_index=reply.turn.metrics.turn_index, heard_text=heard)
        self._send(Response(interrupted=interrupted))
        self._unduck()
        if not given.is_done:
            await self._conclude(given)

    def _unduck(self) -> None:
        if self._state.proto.is_ducked:
            self._send(Response(duck=conversation_pb2.Duck(gain=1.0)))

    async def stop(self) -> None:
        """The session ends."""
        running = [each for each in (self._draft, self._given) if each is not None]
        self._draft = self._given = None
        for each in running:
            await _stop(each.task)

    def _start(self, turn: UserTurn, *, is_open: bool, saved: session_pb2.Reply | None = None) -> SpeechHandle:
        gate = PlayoutGate(
            self._send, self._parts.writable, is_open=is_open, on_ready=lambda: self._put(ReplyReady(reply))
        )
        reply = ReplyPipeline(turn, self._state.history, self._parts, gate, saved)
        is_done = saved is not None and is_over(saved)
        return SpeechHandle(reply, asyncio.create_task(_nothing() if is_done else self._run(reply)), is_done=is_done)

    async def _run(self, reply: ReplyPipeline) -> None:
        try:
            await reply.run(self._services)
        except* ServiceFailed as failures:
            cause = first_error(failures)
            await reply.failed(cause if isinstance(cause, ServiceFailed) else _internal_error())
        except* Exception:
            # A bug of ours costs the turn, not the session, which would wait for this reply for ever.
            log.exception("replying failed")
            await reply.failed(_internal_error())
        reply.gate.ready()
        self._put(ReplyDone(reply))

    async def _finish(self, given: SpeechHandle) -> None:
        """A reply was given to its end, or failed."""
        await self._conclude(given)
        if not given.reply.has_failed:
            await self._read_ahead()

    async def _conclude(self, given: SpeechHandle) -> None:
        """Tell the client that a reply is over and why, but for what another coordinator has told."""
        reply = given.reply
        turn, end = reply.turn, reply.end
        told = self._state.reply_of(turn.metrics.turn_index) or session_pb2.Reply()
        if self._given is given and (reply.has_failed or end.reason in CUT):
            self._given = None
        if not told.is_finished:
            self._parts.note(session_pb2.Record(end=end))
            finished = ReplyFinished(turn_index=turn.metrics.turn_index, reason=end.reason)
            self._send(Response(reply_finished=finished))
        if reply.has_failed and not told.is_failed:
            self._send_failed(turn, end.failed)
        await self._report(turn)

    def fail(self, turn: UserTurn, failure: ServiceFailed) -> None:
        """Tell the client why there is no turn: nothing of it was understood."""
        self._send_failed(turn, failure_end(failure).failed)

    def _send_failed(self, turn: UserTurn, why: conversation_pb2.TurnFailed) -> None:
        failed = conversation_pb2.TurnFailed()
        failed.CopyFrom(why)
        failed.turn_index = turn.metrics.turn_index
        self._send(Response(turn_failed=failed))


def _internal_error() -> ServiceFailed:
    return ServiceFailed("coordinator", grpc.StatusCode.INTERNAL, "internal error; its log says more")


async def _nothing() -> None:
    """What is left to do of a reply that was given to its end."""


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
