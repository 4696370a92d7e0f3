"""One conversation: what the client sends goes to the microphone and the turn controller."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.durability.log import Record, SessionLog
from voxmesh_coordinator.languages import SpokenLanguages
from voxmesh_coordinator.listening.microphone import Microphone, open_microphone
from voxmesh_coordinator.recording.recorder import NotRecorded, Recording
from voxmesh_coordinator.registry import BackendRegistry
from voxmesh_coordinator.reply.parts import reply_parts
from voxmesh_coordinator.reply.tools import ToolCallTracker
from voxmesh_coordinator.session.adapters.policy import PAUSE_S, turn_state
from voxmesh_coordinator.session.controller import TurnController
from voxmesh_coordinator.session.responses import TAKEN, Call, ResumableResponseStream
from voxmesh_coordinator.session.slot_watch import SlotWatch
from voxmesh_coordinator.turn.events import Event, ImageReceived, InputEnded, InterruptRequested, Typed
from voxmesh_routing.failover import FailoverStream
from voxmesh_routing.failures import ServiceFailed
from voxmesh_routing.status import ESSENTIAL
from voxmesh_runtime import names
from voxmesh_runtime.clock import duration
from voxmesh_runtime.errors import InvalidArgument, Unavailable
from voxmesh_runtime.outcomes import Outcome, applied, ignored, ready
from voxmesh_runtime.refusals import check_count
from voxmesh_runtime.telemetry import start_span

log = logging.getLogger(__name__)

Request = conversation_pb2.ConverseRequest
Response = conversation_pb2.ConverseResponse

MAX_TEXT_CHARACTERS = 32_000
MAX_IMAGE_BYTES = 8 * 1024 * 1024
CUT_OR_CLOSED_S = 0.2
"""Wait after the last message of a stream, in seconds, for the news that it was cut."""
ACKNOWLEDGE_EVERY = 25
"""Audio messages between two acknowledgements."""
WRITTEN_WITHIN_S = 5.0
"""Longest wait of a coordinator that stops for a recording's end to be written, in seconds."""


class Session:
    """A conversation from its config to its end, over one stream or several.

    Args:
        log: of the session, with the state that it goes on from.
        services: behind the coordinator.

    Raises from the constructor:
        InvalidArgument: a field of the config is outside its limits.
    """

    def __init__(self, log: SessionLog, services: BackendRegistry) -> None:
        self.log, self._state = log, log.state.proto
        config = self._state.config
        self.id = log.session_id
        log.stamp, log.on_lost = self._stamp, self.supersede
        self.responses = ResumableResponseStream(log, self._record)
        self._recording: Recording | None = None
        self._not_recorded = ""
        self._config = config
        self._services = services = services.for_purpose(config.purpose)
        self._tools = ToolCallTracker(list(config.tools), services.settings.tool_timeout_s)
        self._tools.is_taken_over = log.is_taken_over
        turns = turn_state(self._state, services.settings)
        languages = SpokenLanguages(config.recognition.language_codes)
        _limited(config.system_prompt, "config.system_prompt")
        writable = self.responses.writable
        parts = reply_parts(config, services, self._tools, languages, log.state, note=log.note, writable=writable)
        self._played = conversation_pb2.PlaybackPosition(turn_index=-1)
        self._inputs_received = self._state.input_sequence
        self._controller = TurnController(
            services,
            turn_state=turns,
            report=partial(services.reports.make, session_id=self.id),
            microphone=self._make_microphone,
            parts=parts,
            state=log.state,
            languages=languages,
            send=self._send,
        )
        self._links = self._controller.streams
        self._watch = SlotWatch(self._links, services.slots, self.responses.send)
        self._services_told: list[common_pb2.Ready] = []
        self._held: asyncio.Task[None] | None = None
        self.input_ended = False

    @property
    def is_over(self) -> bool:
        """Nothing is said any more."""
        return self._held is None or self._held.done()

    @property
    def is_busy(self) -> bool:
        """Somebody speaks, or an answer is on its way."""
        return not self._controller.is_idle

    async def start(self) -> None:
        """Open the streams to the services, and begin.

        Raises:
            ServiceFailed: alone or in a group, when one refuses the config, or an essential one cannot be reached.
        """
        try:
            await self._open_links()
            self._services_told = [link.ready for link in self._links]
            await self._begin_recording()
        except BaseException:
            self._cancel_links()
            raise
        backends = [link.backend.label for link in self._links]
        log.info("a session began", extra={"session": self.id, "backends": backends})
        if any(link.slot == "turn" and not link.is_open for link in self._links):
            # The client learns it from the slot's status.
            self._controller.begin_deaf()
        self._held = asyncio.create_task(self._hold())

    async def serve(self, call: Call, last_sequence: int | None = None, void_after: int | None = None) -> None:
        """Hold the conversation over one stream, until either ends.

        Args:
            call: the stream, whose first message was taken.
            last_sequence: of the responses that a client that came back has got.
            void_after: those that it has got beyond this one never were.

        Raises:
            LookupError: what the client missed is not kept any more.
        """
        held = self._held
        if held is None:
            raise RuntimeError("a session is started before it is served")
        await self.responses.attach(call, self._started(void_after), last_sequence)
        if last_sequence is not None:
            self.log.received_sequence = max(self.log.received_sequence, last_sequence)
            self._acknowledge_audio()
        receiving = asyncio.create_task(self._receive(call))
        lost = asyncio.create_task(self.responses.lost())
        try:
            self._watch.begin()
            await asyncio.wait({held, receiving, lost}, return_when=asyncio.FIRST_COMPLETED)
            if receiving.done():
                # Bad input ends the session; input that just ended leaves answers to wait for.
                receiving.result()
                await asyncio.wait({held, lost}, return_when=asyncio.FIRST_COMPLETED)
            if not held.done():
                raise lost.result()
            if not held.cancelled():
                await self.responses.flushed()
                held.result()
        finally:
            receiving.cancel()
            lost.cancel()
            self.responses.lose(call, Unavailable("the stream ended"))

    def supersede(self) -> None:
        """Another replica, or another copy here, has taken the session: it ends without a word."""
        self.responses.leave(Unavailable(TAKEN))
        self.end()

    def rest(self) -> None:
        """While the client is away and nothing is to be done, leave the services to others."""
        if self._controller.is_idle:
            self._cancel_links()

    def end(self) -> None:
        """Stop everything at once."""
        if self._held is not None:
            self._held.cancel()

    async def ended(self) -> None:
        """Wait until everything has stopped."""
        if self._held is not None:
            await asyncio.wait({self._held})
        await self.log.committed()
        if self._recording is not None:
            await asyncio.to_thread(self._recording.join, WRITTEN_WITHIN_S)

    def _started(self, void_after: int | None) -> Response:
        self._services_told = [link.ready for link in self._links]
        microphone = self._controller.microphone
        return Response(
            session_started=conversation_pb2.SessionStarted(
                session_id=self.id,
                resume_token=self.log.token,
                services=[*(told for told in self._services_told if told.ListFields()), self._own_ready()],
                next_audio_sequence=microphone.timeline.next_sequence if microphone is not None else 0,
                input_sequence=self._inputs_received,
                void_after_sequence=void_after,
            )
        )

    async def _hold(self) -> None:
        span = start_span(names.SPAN_CONVERSATION, attributes={names.GEN_AI_CONVERSATION_ID: self.id})
        try:
            await self._controller.run()
        finally:
            span.end()
            self._watch.end()
            self._cancel_links()
            if self._recording is not None:
                self._recording.close()

    async def _open_links(self) -> None:
        """All at once; those that the session can do without need not be reached."""
        async with asyncio.TaskGroup() as tasks:
            for link in self._links:
                tasks.create_task(link.open() if link.slot in ESSENTIAL else _open_if_there(link))

    def _cancel_links(self) -> None:
        # Without an await in between: a cancellation that came then would leave the next one open for ever.
        for link in self._links:
            link.cancel()

    def _make_microphone(self, on_event: Callable[[Event], None]) -> Microphone | None:
        """The microphone; None in a typed conversation, whose config has no recognition."""
        if not self._config.HasField("recognition"):
            return None
        place, may_skip = self._state.microphone, self.log.is_taken_over
        return open_microphone(
            self._services, self._config.recognition, on_event, pause_s=PAUSE_S, place=place, may_skip=may_skip
        )

    async def _begin_recording(self) -> None:
        if not self._config.record:
            return
        if self.log.is_taken_over:
            self._not_recorded = "the recording ended where another coordinator took the session over"
            return
        settings, services = self._services.settings, [link.ready for link in self._links if link.is_open]
        try:
            self._recording = await Recording.begin(settings, self.id, self._config, services, self._services.clock)
        except NotRecorded as why:
            self._not_recorded = str(why)

    def _record(self, message: Request | Response) -> None:
        if self._recording is not None:
            self._recording.take(message)

    def _own_ready(self) -> common_pb2.Ready:
        outcomes: list[Outcome] = []
        if self._config.record:
            is_recorded = self._recording is not None
            outcomes.append(applied("config.record") if is_recorded else ignored("config.record", self._not_recorded))
        if self._config.HasField("speculation"):
            outcomes.append(applied("config.speculation"))
        # A picture may come at any time.
        outcomes += self._services.purpose_outcomes({"vlm", *(link.slot for link in self._links)})
        return ready("", "coordinator", self._services.settings.host_name, outcomes)

    async def _receive(self, call: Call) -> None:
        async for kind, request in call:
            self._record(request)
            await self._use_newest_token()
            match kind:
                case "audio":
                    await self._take_audio(request.audio)
                case "text" | "image":
                    self._take_input(request)
                case "playback_position":
                    self._played = request.playback_position
                    self._controller.played(request.playback_position)
                case "tool_result":
                    self._tools.result(request.tool_result)
                case "interrupt":
                    self._controller.put(InterruptRequested())
                case _:
                    self.end()
                    return
        # A stream that is cut ends in the same way as a half-close, and only then is this task cancelled.
        await asyncio.sleep(CUT_OR_CLOSED_S)
        self.input_ended = True
        microphone = self._controller.microphone
        self._controller.put(InputEnded(microphone.timeline.end_s if microphone is not None else 0.0))

    async def _take_audio(self, chunk: conversation_pb2.AudioChunk) -> None:
        microphone = self._controller.microphone
        if microphone is None:
            raise InvalidArgument("audio", "the config has no recognition; set config.recognition.audio_format")
        sequence = await microphone.chunk(chunk)
        if sequence % ACKNOWLEDGE_EVERY == ACKNOWLEDGE_EVERY - 1:
            self._acknowledge_audio()

    def _acknowledge_audio(self) -> None:
        """Tell the client which audio no replica will need; what is in no store, all that is here."""
        microphone = self._controller.microphone
        if microphone is None:
            return
        self.log.append(Record())
        kept, here = self._state.microphone.next_sequence, microphone.timeline.next_sequence
        next_sequence = kept if self.log.is_kept else here
        if next_sequence:
            self._send_when_committed(Response(audio_acknowledged=next_sequence - 1))

    def _send_when_committed(self, response: Response) -> None:
        self.log.when_committed(lambda: self.responses.send(response))

    def _stamp(self, record: Record) -> None:
        """Add to a record what is done with as soon as it is committed."""
        microphone, response, place = self._controller.microphone, record.response, self._state.microphone
        is_turn_ended = response.HasField("turn_ended")
        if microphone is not None:
            if is_turn_ended or response.HasField("turn_failed"):
                microphone.settle()
            place = microphone.needed
            if place != self._state.microphone:
                record.microphone.CopyFrom(place)
        if is_turn_ended:
            self._stamp_turn(record, response.turn_ended, place)

    def _stamp_turn(self, record: Record, ended: conversation_pb2.TurnEnded, place: session_pb2.Microphone) -> None:
        record.input_sequence = ended.input_sequence = self._controller.input_sequence
        if place.next_sequence:
            ended.next_audio_sequence = place.next_sequence
            ended.next_audio_offset.CopyFrom(duration(place.offset_s))
        heard = self.responses.sequence_played(self._played)
        self.log.received_sequence = max(self.log.received_sequence, heard)

    def _send(self, response: Response) -> None:
        if response.HasField("turn_report") or response.HasField("turn_failed"):
            self._tell_changes()
        acknowledged = self._state.input_sequence
        self.responses.send(response)
        if self._state.input_sequence > acknowledged:
            self._send_when_committed(Response(input_acknowledged=self._state.input_sequence))

    def _tell_changes(self) -> None:
        """A service's new server may take the config otherwise than the one before."""
        for index, link in enumerate(self._links):
            if link.ready != self._services_told[index]:
                self._services_told[index] = link.ready
                changed = conversation_pb2.ServiceChanged(slot=link.slot, ready=link.ready)
                self.responses.send(Response(service_changed=changed))

    async def _use_newest_token(self) -> None:
        """The client sends something on a stream, and so has got the token that it was given there."""
        if self.log.tokens.previous:
            self.log.give_token(self.log.token)
            # Of several clients that came back with one token only one is answered: who lost it ends here.
            await self.log.committed()

    def _take_input(self, request: Request) -> None:
        """Take a text or picture, unless the client has sent it before."""
        sequence = request.input_sequence
        if sequence > self._inputs_received + 1:
            problem = f"must be {self._inputs_received + 1}, the next one, not {sequence}"
            raise InvalidArgument("input_sequence", problem)
        if 0 < sequence <= self._inputs_received:
            return
        if request.HasField("image"):
            self._take_image(request)
        else:
            self._take_text(request)
        self._inputs_received = max(sequence, self._inputs_received)

    def _take_text(self, request: Request) -> None:
        text = _limited(request.text, "text")
        if not text.strip():
            raise InvalidArgument("text", "is empty")
        self._controller.put(Typed(text, request.input_sequence))

    def _take_image(self, request: Request) -> None:
        data = request.image.data
        check_count("image.data", len(data), MAX_IMAGE_BYTES, least=1, unit="bytes")
        self._controller.put(ImageReceived(data, request.input_sequence))


def _limited(text: str, field: str) -> str:
    check_count(field, len(text), MAX_TEXT_CHARACTERS)
    return text


async def _open_if_there(link: FailoverStream[Any, Any, Any]) -> None:
    try:
        await link.reach()
    except ServiceFailed as failure:
        if not failure.is_absence:
            raise
