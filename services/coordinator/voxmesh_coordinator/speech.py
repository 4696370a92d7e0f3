"""A session's spoken replies, one segment after another on one stream to the tts service."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from voxmesh.common.v1 import common_pb2
from voxmesh.tts.v1 import tts_pb2
from voxmesh_coordinator.failures import ServiceFailed
from voxmesh_coordinator.link import Link
from voxmesh_coordinator.mailbox import Mailbox
from voxmesh_coordinator.services import Services

Request = tts_pb2.StreamingSynthesizeRequest
Response = tts_pb2.StreamingSynthesizeResponse

MAX_PIECE_CHARACTERS = 10_000


class Segment:
    """One reply being spoken: text goes in while audio comes out of `answers`."""

    def __init__(self, link: Link[Request, Response], parent: common_pb2.TraceContext) -> None:
        self.answers = Mailbox[Response]()
        self.is_finished = False
        self.is_started = False
        self._link = link
        self._parent = parent

    async def say(self, text: str) -> None:
        """Append text."""
        self.is_started = True
        for begin in range(0, len(text), MAX_PIECE_CHARACTERS):
            piece = tts_pb2.SegmentText(text=text[begin : begin + MAX_PIECE_CHARACTERS], trace_context=self._parent)
            await self._link.send(Request(text=piece))

    async def end(self) -> None:
        """The text is complete."""
        if self.is_started:
            await self._link.send(Request(end_of_segment=tts_pb2.EndOfSegment()))


class Speech:
    """Speaks replies; leaving a segment before its end cancels it in the service."""

    def __init__(self, services: Services, config: tts_pb2.SynthesisConfig) -> None:
        self.link = Link[Request, Response](
            services.labels["tts"],
            services.tts.StreamingSynthesize,
            Request(config=config),
            on_response=self._deliver,
            on_failure=self._fail,
            connect_timeout_s=services.settings.connect_timeout_s,
        )
        self._segment: Segment | None = None
        self._index: int | None = None

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
            self._segment.answers.fail(failure)
