"""The replies of a session: at most one that is being given, and one that is being prepared.

Who calls decides what happens to them and when; here stands how it is done, and what the client is told of it. Nothing
here waits: a reply that was stopped still cleans up while the next one is begun, which waits for that by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.llm.v1 import llm_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.durability.state import CUT, ReplyFinished, is_over
from voxmesh_coordinator.metrics.turn_metrics import TurnMetrics
from voxmesh_coordinator.registry import BackendRegistry
from voxmesh_coordinator.reply.ending import turn_failed
from voxmesh_coordinator.reply.parts import ReplyParts
from voxmesh_coordinator.reply.playout_tracker import PlayoutTracker
from voxmesh_coordinator.reply.speech_handle import SpeechHandle
from voxmesh_coordinator.reply.user_turn import UserTurn
from voxmesh_coordinator.turn.commands import InterruptReply
from voxmesh_coordinator.turn.events import Event, PlaybackReached, SessionTakenOver
from voxmesh_runtime import names
from voxmesh_runtime.clock import seconds_of
from voxmesh_runtime.telemetry import start_span

Response = conversation_pb2.ConverseResponse
Report = Callable[[TurnMetrics], conversation_pb2.TurnReport]
Task = asyncio.Task[None]


class ReplyScheduler:
    """Prepares, gives and stops replies.

    Args:
        services: for pictures, and settings.
        parts: what replies are made with.
        report: makes the report of a turn.
        send: to the client.
        put: takes events.
    """

    def __init__(
        self,
        services: BackendRegistry,
        parts: ReplyParts,
        report: Report,
        *,
        send: Callable[[Response], None],
        put: Callable[[Event], None],
    ) -> None:
        self._services, self._parts, self._state = services, parts, parts.state
        self._report, self._send, self._put = report, send, put
        self._draft: SpeechHandle | None = None
        self._given: SpeechHandle | None = None
        self._unfinished = set[Task]()
        """What the next reply waits for: replies that are being stopped, and what the language model is to read."""

    @property
    def playout(self) -> PlayoutTracker | None:
        """Of the reply that is given."""
        return self._given.output.playout if self._given is not None else None

    def played(self, position: conversation_pb2.PlaybackPosition) -> PlaybackReached | None:
        """The client has played a reply so far; None where that is not the one that is given."""
        given = self._given
        if given is None or position.turn_index != given.turn.metrics.turn_index:
            return None
        given.output.playout.played(seconds_of(position.offset))
        return PlaybackReached(given.id, given.output.playout.position_s())

    def prefill(self, words: str) -> None:
        """Have the language model read the conversation, and these words of the person."""
        messages = self._state.history.request(self._parts.system_prompt, [words] if words else [])
        request = llm_pb2.Generate(messages=messages, tools=self._parts.tools.tools)
        if self._unfinished:
            self._unfinish(asyncio.create_task(self._prefill(request, frozenset(self._unfinished))))
        else:
            self._parts.language_model.prefill(request)

    def prepare(self, reply_id: int, turn: UserTurn) -> None:
        """Begin a reply that nobody hears before `release`."""
        self._draft = SpeechHandle(reply_id, turn, self._parts, send=self._send, put=self._put)
        self._draft.start(self._services, frozenset(self._unfinished))

    def drop(self) -> None:
        """Throw away the reply in preparation, without a trace but for its cost."""
        draft, self._draft = self._draft, None
        if draft is not None:
            self._stop(draft)
            draft.turn.metrics.discard(draft.output.hops)

    def release(self, text: str) -> None:
        """Give the reply in preparation to the turn that is over, of which this text was understood."""
        given, self._draft = self._draft, None
        if given is None:
            return
        self._given, turn = given, given.turn
        seen = turn.seen or None
        images = turn.images if seen is None else ()
        self._parts.note(session_pb2.Record(images=images, seen=seen, trace_context=turn.metrics.trace_context))
        ended = conversation_pb2.TurnEnded(turn_index=turn.metrics.turn_index, text=text)
        self._send(Response(turn_ended=ended))
        given.gate.open()

    def hold(self) -> None:
        """Lower the reply that is given, and send nothing more of it."""
        if self._given is not None:
            self._given.gate.hold()
        self._send(Response(duck=conversation_pb2.Duck(gain=self._services.settings.duck_gain)))

    def resume(self) -> None:
        """It goes on where it stopped."""
        self._send(Response(duck=conversation_pb2.Duck(gain=1.0)))
        if self._given is not None:
            self._given.gate.open()

    def interrupt(self, how: InterruptReply) -> None:
        """Stop the reply that is given on every hop; the history keeps what was heard."""
        given, self._given = self._given, None
        if given is None:
            return
        self._stop(given)
        if not how.is_done:
            cut = ReplyFinished.REASON_CANCELLED if how.is_cancelled else ReplyFinished.REASON_INTERRUPTED
            given.end.reason = cut
            self._parts.note(session_pb2.Record(end=given.end))
        heard = given.output.playout.heard_text()
        index = given.turn.metrics.turn_index
        self._send(Response(interrupted=conversation_pb2.Interrupted(turn_index=index, heard_text=heard)))
        if how.is_held:
            self._send(Response(duck=conversation_pb2.Duck(gain=1.0)))
        if not how.is_done:
            self._conclude(given)

    def finish(self) -> None:
        """The reply that is given came to its end, or failed."""
        given = self._given
        if given is not None:
            if given.has_failed or given.end.reason in CUT:
                self._given = None
            self._conclude(given)

    def take_over(self, reply_id: int) -> SessionTakenOver | None:
        """Give the reply that another coordinator began from where that stopped, or know what it gave."""
        state = self._state.proto
        if not state.HasField("reply"):
            return SessionTakenOver(is_held=True) if state.is_ducked else None
        saved = session_pb2.Reply()
        saved.CopyFrom(state.reply)
        is_done = is_over(saved)
        metrics = TurnMetrics(self._services.clock, start_span(names.SPAN_TURN, saved.trace_context))
        metrics.turn_index, metrics.turn_ended_ns = saved.turn_index, self._services.clock.wall_ns()
        turn = UserTurn(saved.said, metrics, list(saved.images), saved.seen)
        given = SpeechHandle(reply_id, turn, self._parts, send=self._send, put=self._put, saved=saved)
        self._given = given
        given.gate.open()
        if not is_done:
            given.start(self._services, frozenset(self._unfinished))
        elif not saved.is_done:
            # It was over, and not all of that was told.
            self.finish()
        playout, is_there = given.output.playout, self.playout is not None
        return SessionTakenOver(
            state.is_ducked, reply_id if is_there else None, is_done, playout.sent_s, playout.began_at
        )

    async def stop(self) -> None:
        """The session ends."""
        for each in (self._draft, self._given):
            if each is not None:
                self._stop(each)
        self._draft = self._given = None
        for task in self._unfinished:
            task.cancel()
        if self._unfinished:
            await asyncio.wait(self._unfinished)

    async def _prefill(self, request: llm_pb2.Generate, before: frozenset[Task]) -> None:
        await asyncio.wait(before)
        self._parts.language_model.prefill(request)

    def _stop(self, handle: SpeechHandle) -> None:
        handle.cancel()
        if handle.task is not None and not handle.task.done():
            self._unfinish(handle.task)

    def _unfinish(self, task: Task) -> None:
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)

    def _conclude(self, handle: SpeechHandle) -> None:
        """Tell the client that a reply is over and why, but for what another coordinator has told."""
        metrics, end = handle.turn.metrics, handle.end
        told = self._state.reply_of(metrics.turn_index) or session_pb2.Reply()
        if not told.is_finished:
            self._parts.note(session_pb2.Record(end=end))
            finished = ReplyFinished(turn_index=metrics.turn_index, reason=end.reason)
            self._send(Response(reply_finished=finished))
        if handle.has_failed and not told.is_failed:
            self._send(turn_failed(metrics.turn_index, end.failed))
        report = self._report(metrics)
        metrics.end()
        self._send(Response(turn_report=report))
