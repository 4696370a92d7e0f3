"""A session's spoken replies, one segment after another on one stream to the tts service."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from voxmesh.common.v1 import common_pb2
from voxmesh.tts.v1 import tts_pb2, tts_pb2_grpc
from voxmesh_coordinator.registry import BackendRegistry
from voxmesh_routing.failover import FailoverStream
from voxmesh_routing.failures import ServiceFailed
from voxmesh_routing.response_queue import ResponseQueue

Request = tts_pb2.StreamingSynthesizeRequest
Response = tts_pb2.StreamingSynthesizeResponse

MAX_PIECE_CHARACTERS = 10_000


class Segment:
    """One reply being spoken: text goes in while audio comes out of `answers`.

    When the stream broke, `restart` speaks the rest on another one; from then on offsets in
    answers count from `base_s` of the reply's audio and `base_text` of its text.
    """

    def __init__(self, link: FailoverStream[Request, Response], parent: common_pb2.TraceContext) -> None:
        self.answers = ResponseQueue[Response]()
        self.is_finished = False
        self.is_started = False
        self.is_mute = False
        """No voice is there any more: what else is said is text alone."""
        self.base_s = 0.0
        self.base_text = 0
        self._link = link
        self._epoch = link.epoch
        self._parent = parent
        self._text = ""
        self._is_ended = False

    @property
    def ready(self) -> common_pb2.Ready:
        """Who speaks it."""
        return self._link.ready

    async def say(self, text: str) -> None:
        """Append text; that the service refuses it or broke is told by `answers`."""
        self.is_started = True
        self._text += text
        await self._send_text(text)

    async def take_up(self, text: str, text_from: int, at_s: float) -> None:
        """Speak what another coordinator began, from a character on, that lies so far in the reply's audio."""
        self.is_started, self._text = True, text
        self.base_text, self.base_s = text_from, at_s
        await self._send_text(text[text_from:], continues=text_from > 0)

    async def end(self) -> None:
        """The text is complete."""
        self._is_ended = True
        if self.is_started:
            await self._send(Request(end_of_segment=tts_pb2.EndOfSegment()))

    async def restart(self, text_from: int, at_s: float) -> None:
        """Speak the text from a character on, after the stream broke.

        Raises:
            ServiceFailed: no backend can be reached.
        """
        await self._link.reach()
        self._epoch, self.is_finished = self._link.epoch, False
        self.base_text, self.base_s = text_from, at_s
        await self._send_text(self._text[text_from:])
        if self._is_ended:
            await self._send(Request(end_of_segment=tts_pb2.EndOfSegment()))

    async def _send_text(self, text: str, *, continues: bool = False) -> None:
        for begin in range(0, len(text), MAX_PIECE_CHARACTERS):
            piece = tts_pb2.SegmentText(
                text=text[begin : begin + MAX_PIECE_CHARACTERS], trace_context=self._parent, continues=continues
            )
            await self._send(Request(text=piece))

    async def _send(self, request: Request) -> None:
        if self.is_mute or not self._link.is_open or self._link.epoch != self._epoch:
            # The stream broke, and a new one lacks the text before this: `restart` sends all of it.
            return
        try:
            await self._link.send(request)
        except ServiceFailed as failure:
            # One way for all failures: who writes the text is not to be told of the voice's.
            self.answers.fail(failure)


class Speech:
    """Speaks replies; leaving a segment before its end cancels it in the service."""

    def __init__(self, services: BackendRegistry, config: tts_pb2.SynthesisConfig) -> None:
        self.link = FailoverStream[Request, Response](
            services.tts,
            lambda channel: tts_pb2_grpc.TextToSpeechServiceStub(channel).StreamingSynthesize(),
            Request(config=config),
            on_response=self._deliver,
            on_failure=self._fail,
            timeouts=services.timeouts,
            clock=services.clock,
        )
        self._segment: Segment | None = None
        self._index: int | None = None

    async def is_there(self) -> bool:
        """Whether replies can be spoken just now; takes no time where it is known that they cannot."""
        try:
            await self.link.reach()
        except ServiceFailed:
            # Whether it is down or refuses: a reply in text is better than none, and the client is told why.
            return False
        return True

    @asynccontextmanager
    async def segment(self, parent: common_pb2.TraceContext) -> AsyncGenerator[Segment]:
        """One segment; only one at a time.

        Raises:
            ServiceFailed: the service refused it or broke.
        """
        await self.link.open()
        segment = self._segment = Segment(self.link, parent)
        self._index = None
        try:
            yield segment
        finally:
            self._segment = None
            segment.answers.close()
            if segment.is_started and not segment.is_finished and self.link.is_open:
                with suppress(ServiceFailed):
                    await self.link.send(Request(cancel=tts_pb2.Cancel()))

    async def _deliver(self, response: Response) -> None:
        kind = response.WhichOneof("streaming_response") or ""
        segment = self._segment
        if segment is None or not segment.is_started:
            return
        index: int = getattr(response, kind).segment_index
        if kind == "segment_started":
            self._index = index
        finished_unspoken = (
            kind == "segment_finished" and self._index is None and not response.segment_finished.cancelled
        )
        if index != self._index and not finished_unspoken:
            return
        segment.is_finished = kind == "segment_finished"
        await segment.answers.put(response)

    def _fail(self, failure: ServiceFailed) -> None:
        if self._segment is not None:
            self._segment.is_finished = True
            self._index = None
            self._segment.answers.fail(failure)
