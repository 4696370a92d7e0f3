"""The silence after speech: its sound judged once by the model, told again while it lasts.

A verdict is on what was said, and that does not change while nobody speaks: Smart Turn asked
again after a second of silence calls many an unfinished sentence finished. So the model runs
once a pause, and what grows from one message to the next is the silence. Words may come late:
they are recognised meanwhile, and weighed as soon as they are judged.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from voxmesh.common.v1 import common_pb2
from voxmesh.turn.v1 import turn_pb2
from voxmesh_runtime import names
from voxmesh_runtime.audio import Samples
from voxmesh_runtime.batcher import Batcher
from voxmesh_runtime.clock import WorkClock, duration
from voxmesh_runtime.streams import StreamCall
from voxmesh_runtime.telemetry import work_span
from voxmesh_runtime.thread import Completed
from voxmesh_turn.engine import Host, SpeechStopped, WordJudge
from voxmesh_turn.words import WordBatcher, Words

Request = turn_pb2.StreamingDetectRequest
Response = turn_pb2.StreamingDetectResponse

REPEAT_S = 0.15
"""Shortest time between two messages of one pause, in seconds of audio."""
REPEAT_SHARE = 0.1
"""The same as a share of the silence, so that hours of it cost a message now and then."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message of audio."""

    received_ns: int
    """When it arrived, in nanoseconds since the epoch."""
    end_s: float
    """Where it ends in the stream's audio, in seconds."""


@dataclass(frozen=True, slots=True)
class Judge:
    """The end-of-turn models of a service."""

    batcher: Batcher[Samples, float]
    host: Host
    words: tuple[WordJudge, WordBatcher] | None = None
    """None where the sound alone is judged."""

    @property
    def sample_rate_hertz(self) -> int:
        """Of the audio that the models hear."""
        return self.host.info.sample_rate_hertz


class Pause:
    """One pause of one stream, from the stop of speech until `end`.

    Args:
        call: gets the messages.
        judge: gives the verdict.
        stopped: the stop that the pause follows.
        arrival: of the audio that completed the stop.
        parent: of the judgement's span.
        words: of the turn; None where the sound alone is judged.
    """

    def __init__(
        self,
        call: StreamCall[Request, Response],
        judge: Judge,
        stopped: SpeechStopped,
        arrival: Arrival,
        parent: common_pb2.TraceContext | None,
        *,
        words: Words | None,
    ) -> None:
        self._call = call
        self._judge = judge
        self._stopped = stopped
        self._arrival = arrival
        self._clock = WorkClock(arrival.received_ns)
        self._parent = parent
        self._words = words
        self._run: asyncio.Future[Completed[float]] | None = None
        self._by_sound: float | None = None
        self._silence_s = 0.0
        self._told_s = 0.0
        self._ended = False

    async def judge(self) -> None:
        """Ask the model and tell its verdict, unless the pause ends first."""
        attributes = self._judge.host.span_attributes
        with work_span(names.SPAN_TURN_DETECTION, self._parent, self._clock, attributes) as span:
            span.set_attribute(names.AUDIO_S, len(self._stopped.turn) / self._judge.sample_rate_hertz)
            completed = await self._verdict()
            if completed is None:
                return
            self._clock.worked(completed.started_ns, completed.compute_s, completed.queued_s, completed.batch_size)
            self._by_sound = completed.result
            await self._tell(self._clock, self._arrival)

    async def words_judged(self, clock: WorkClock) -> None:
        """The turn's words were judged: that may change the verdict, or give one before the sound does."""
        await self._tell(clock, None)

    async def last(self, position_s: float, arrival: Arrival) -> None:
        """The silence has lasted up to `position_s` of the stream's audio, by a message that arrived."""
        self._silence_s = position_s - self._stopped.offset_s
        if self._by_sound is None:
            return
        if self._silence_s - self._told_s >= max(REPEAT_S, self._silence_s * REPEAT_SHARE):
            await self._tell(WorkClock(arrival.received_ns), arrival)

    def end(self) -> None:
        """Speech resumed or the turn is over: a verdict that is still to come is dropped."""
        self._ended = True
        if self._run is not None:
            self._run.cancel()

    async def _verdict(self) -> Completed[float] | None:
        if self._ended:
            return None
        self._run = asyncio.ensure_future(self._judge.batcher.run(self._stopped.turn))
        try:
            # Only the run is cancelled by `end`, never a message that is being written.
            await asyncio.wait({self._run})
        finally:
            self._run.cancel()
        return None if self._ended else self._run.result()

    async def _tell(self, clock: WorkClock, arrival: Arrival | None) -> None:
        words = self._words
        probability = self._by_sound if words is None else words.weigh(self._by_sound)
        if probability is None:
            return
        self._told_s = self._silence_s
        verdict = turn_pb2.EndOfTurn(
            probability=probability,
            silence_duration=duration(self._silence_s),
            timing=clock.to_proto(is_output=True),
            received_audio_duration=None if arrival is None else duration(arrival.end_s),
            transcript="" if words is None else words.considered,
        )
        await self._call.send(Response(end_of_turn=verdict))
