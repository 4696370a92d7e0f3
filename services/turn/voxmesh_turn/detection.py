"""One stream's detection: its audio goes to the session, what the session hears to the caller.

Voice activity runs here on the event loop, not on a thread. Measured with the default engine, a
hop to a thread and back costs 80 us of CPU, and a frame of digital silence 6 us; where there is
sound, its detector takes 1.2 ms a window and holds the interpreter's lock all the while, so that a
thread of its own would let nothing run beside it. The end-of-turn models, which release the lock,
have workers.
"""

from __future__ import annotations

import asyncio
import time

from voxmesh.common.v1 import common_pb2
from voxmesh_runtime.audio import ModelInput, Samples
from voxmesh_runtime.clock import WorkClock, duration
from voxmesh_runtime.streams import StreamCall
from voxmesh_turn.engine import Event, Session, SpeechStarted, SpeechStopped
from voxmesh_turn.options import transcript_of
from voxmesh_turn.pause import Arrival, Judge, Pause, Request, Response
from voxmesh_turn.words import Words

STEP_S = 0.1
"""Most audio given to a session at once, in seconds; other streams run between two steps."""


class Detection:
    """Watches one stream until its half-close."""

    def __init__(
        self, call: StreamCall[Request, Response], session: Session, judge: Judge, model_input: ModelInput
    ) -> None:
        self._call = call
        self._session = session
        self._judge = judge
        self._model_input = model_input
        self._words = None if judge.words is None else Words(*judge.words, self._words_judged)
        self._parent: common_pb2.TraceContext | None = None
        self._pause: Pause | None = None
        self._samples = 0

    async def run(self) -> None:
        """Take the caller's messages; a judgement under way at half-close is still told."""
        async with asyncio.TaskGroup() as tasks:
            async for kind, request in self._call:
                match kind:
                    case "audio":
                        await self._listen(self._model_input.feed(request.audio), tasks)
                    case "trace_context":
                        self._parent = request.trace_context
                    case "transcript":
                        transcript = transcript_of(request.transcript)
                        if self._words is not None:
                            self._words.heard(transcript, tasks)
                    case _:
                        self._new_turn()
            await self._listen(self._model_input.flush(), tasks)

    async def _listen(self, samples: Samples, tasks: asyncio.TaskGroup) -> None:
        rate_hertz = self._judge.sample_rate_hertz
        arrival = Arrival(time.time_ns(), (self._samples + len(samples)) / rate_hertz)
        step = round(STEP_S * rate_hertz)
        for begin in range(0, len(samples), step):
            await self._step(samples[begin : begin + step], arrival, tasks)
            if begin + step < len(samples):
                await asyncio.sleep(0)

    async def _step(self, samples: Samples, arrival: Arrival, tasks: asyncio.TaskGroup) -> None:
        events = self._session.feed(samples)
        self._samples += len(samples)
        for event in events:
            await self._tell(event, arrival, tasks)
        if self._pause is not None:
            await self._pause.last(self._samples / self._judge.sample_rate_hertz, arrival)

    async def _tell(self, event: Event, arrival: Arrival, tasks: asyncio.TaskGroup) -> None:
        match event:
            case SpeechStarted():
                self._end_pause()
                await self._call.send(Response(speech_started=duration(event.offset_s)))
            case SpeechStopped():
                await self._call.send(Response(speech_stopped=duration(event.offset_s)))
                self._pause = Pause(self._call, self._judge, event, arrival, self._parent, words=self._words)
                tasks.create_task(self._pause.judge())

    def _new_turn(self) -> None:
        self._end_pause()
        self._parent = None
        if self._words is not None:
            self._words.new_turn()
        self._session.new_turn()

    async def _words_judged(self, clock: WorkClock) -> None:
        if self._pause is not None:
            await self._pause.words_judged(clock)

    def _end_pause(self) -> None:
        if self._pause is not None:
            self._pause.end()
            self._pause = None
