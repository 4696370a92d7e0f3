"""One stream's synthesis: its segments' clauses go to the engine, their audio to the caller."""

from __future__ import annotations

from contextlib import aclosing

from voxmesh_runtime import names
from voxmesh_runtime.audio import AudioFormat
from voxmesh_runtime.stepper import Stepper
from voxmesh_runtime.streams import StreamCall
from voxmesh_runtime.telemetry import work_span
from voxmesh_tts.delivery import Delivery, Request, Response
from voxmesh_tts.engine import Host, Session
from voxmesh_tts.segments import Segment, Segments


class Synthesis:
    """Speaks segments one after another.

    A piece of audio is made only when the one before it was written, and writing waits for
    a client that does not read: synthesis is never further ahead than the stream's window.
    """

    def __init__(
        self,
        call: StreamCall[Request, Response],
        session: Session,
        stepper: Stepper,
        host: Host,
        audio_format: AudioFormat,
    ) -> None:
        self._call = call
        self._session = session
        self._stepper = stepper
        self._host = host
        self._format = audio_format

    async def run(self, segments: Segments) -> None:
        """Speak until the segments are closed and all are finished."""
        attributes, rate_hertz = self._host.span_attributes, self._host.info.sample_rate_hertz
        while (segment := await segments.next()) is not None:
            delivery = Delivery(self._call, segment, self._format, rate_hertz)
            with work_span(names.SPAN_TTS, segment.trace_context, segment.clock, attributes) as span:
                await self._speak(segment, delivery)
                span.set_attribute(names.AUDIO_S, delivery.duration_s)
            segments.finish(segment)
            await delivery.send_finished()

    async def _speak(self, segment: Segment, delivery: Delivery) -> None:
        async with aclosing(segment.until_cancelled(segment.clauses())) as clauses:
            async for clause in clauses:
                delivery.begin(clause)
                await self._speak_clause(clause.text, segment, delivery)
        await delivery.send_rest()

    async def _speak_clause(self, text: str, segment: Segment, delivery: Delivery) -> None:
        pieces = self._stepper.iterate(lambda: self._session.synthesize(text))
        async with aclosing(segment.until_cancelled(pieces)) as steps:
            async for step in steps:
                segment.clock.worked(step.started_ns, step.compute_s, step.queued_s, step.batch_size)
                await delivery.send(step.result)
