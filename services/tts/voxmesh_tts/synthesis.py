"""One stream's synthesis: its segments' clauses go to the engine, their audio to the caller."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import aclosing
from typing import cast

from voxmesh_runtime import names
from voxmesh_runtime.audio import AudioFormat, Samples
from voxmesh_runtime.streams import StreamCall
from voxmesh_runtime.telemetry import work_span
from voxmesh_runtime.worker import Worker
from voxmesh_tts.clauses import Clause
from voxmesh_tts.delivery import Delivery, Request, Response
from voxmesh_tts.engine import EngineInfo, PacedSession, Session, SpokenWord
from voxmesh_tts.segments import Segment, Segments

TtsWorker = Worker[None, None]
"""Steps generators only; it never batches."""


class Synthesis:
    """Speaks segments one after another.

    A piece of audio is made only when the one before it was written, and writing waits for
    a client that does not read: synthesis is never further ahead than the stream's window.
    """

    def __init__(
        self,
        call: StreamCall[Request, Response],
        session: Session,
        worker: TtsWorker,
        info: EngineInfo,
        audio_format: AudioFormat,
    ) -> None:
        self._call = call
        self._session = session
        self._worker = worker
        self._info = info
        self._format = audio_format

    async def run(self, segments: Segments) -> None:
        """Speak until the segments are closed and all are finished."""
        facts = self._info.facts
        attributes = {names.ENGINE: facts.engine, names.GEN_AI_REQUEST_MODEL: facts.model}
        while (segment := await segments.next()) is not None:
            delivery = Delivery(self._call, segment, self._format, self._info.sample_rate_hertz)
            with work_span(names.SPAN_TTS, segment.trace_context, segment.clock, attributes) as span:
                await self._speak(segment, delivery)
                span.set_attribute(names.AUDIO_S, delivery.duration_s)
            segments.finish(segment)
            await delivery.send_finished()

    async def _speak(self, segment: Segment, delivery: Delivery) -> None:
        async with aclosing(segment.until_cancelled(segment.clauses())) as clauses:
            async for clause in clauses:
                delivery.begin(clause)
                if clause.text:
                    await self._speak_clause(clause, segment, delivery)
                if clause.pause_s:
                    await delivery.send_silence(clause.pause_s)
        await delivery.send_rest()

    async def _speak_clause(self, clause: Clause, segment: Segment, delivery: Delivery) -> None:
        pieces = _pieces(self._session, clause)
        try:
            async with aclosing(segment.until_cancelled(self._worker.iterate(pieces))) as steps:
                async for step in steps:
                    segment.clock.worked(step.started_ns, step.compute_s, step.queued_s)
                    await delivery.send(step.result)
            await delivery.send_words()
        finally:
            # After the step in progress, on the thread that owns the model.
            self._worker.post(pieces.close)


def _pieces(session: Session, clause: Clause) -> Generator[Samples | SpokenWord]:
    """The engine's pieces of a clause, begun and closed on the worker."""
    if clause.pace == 1.0:
        yield from session.synthesize(clause.text)
    else:
        # Only a session of an engine with `PROSODY_RATE` gets such a clause.
        yield from cast("PacedSession", session).synthesize(clause.text, clause.pace)
