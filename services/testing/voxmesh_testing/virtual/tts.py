"""A voice that speaks sentence by sentence, faster than real time, with its words readable in the samples."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from voxmesh.common.v1 import common_pb2
from voxmesh.tts.v1 import tts_pb2, tts_pb2_grpc
from voxmesh_runtime.clock import duration
from voxmesh_runtime.errors import NotFound
from voxmesh_runtime.outcomes import applied
from voxmesh_runtime.settings import ServerSettings
from voxmesh_runtime.streams import AnyContext, StreamCall
from voxmesh_testing.virtual.service import FakeService, Work, is_set
from voxmesh_testing.virtual.speech import VOICE, spoken_word

Request = tts_pb2.StreamingSynthesizeRequest
Response = tts_pb2.StreamingSynthesizeResponse
Call = StreamCall[Request, Response]

MODEL_HERTZ = 24_000
PIECE_S = 0.1
"""Longest piece of audio, in seconds."""
_CLAUSE = re.compile(r"\s*\S[^.?!]*[.?!]+")
_OPTIONS = ("audio_format", "voice", "language_code", "speaking_rate", "word_time_offsets")


class FakeVoice(tts_pb2_grpc.TextToSpeechServiceServicer, FakeService):
    """Serves speech; its only voice is called "anna"."""

    def __init__(self, host: str = "somewhere", engine: str = "mouth", settings: ServerSettings | None = None) -> None:
        FakeService.__init__(self, engine, host, settings=settings)
        self.first_s = 0.06
        """Time to the first audio of a clause, in seconds."""
        self.pace = 10.0
        """How much faster than real time it speaks."""
        self.asked: list[str] = []
        """The text of each segment, as far as it came."""
        self.made_s = 0.0
        """Audio that it has got rid of, in seconds."""

    def register(self, server: Any) -> None:
        """Add it to a server."""
        tts_pb2_grpc.add_TextToSpeechServiceServicer_to_server(self, server)

    async def StreamingSynthesize(  # noqa: N802 # pyright: ignore[reportIncompatibleMethodOverride] # the contract's name
        self, request_iterator: AsyncIterator[Request], context: AnyContext
    ) -> None:
        """Speak one stream."""
        async with self.stream(request_iterator, context, Response) as (call, tasks):
            config = (await call.config()).config
            self.check_model(config.model)
            if config.voice not in {"", "anna"}:
                raise NotFound("voice", config.voice, 'there is no such voice; use "anna"')
            options = [applied(f"config.{name}") for name in _OPTIONS if is_set(config, name)]
            await call.send(Response(ready=self.ready(options)))
            speaking = _Speaking(self, call, config)
            running = tasks.create_task(speaking.run())
            await speaking.take_requests()
            await asyncio.wait({running})

    async def GetModelInfo(  # noqa: N802 # pyright: ignore[reportIncompatibleMethodOverride] # the contract's name
        self, request: tts_pb2.GetModelInfoRequest, context: AnyContext
    ) -> tts_pb2.GetModelInfoResponse:
        """Describe it."""
        del request, context
        return tts_pb2.GetModelInfoResponse(
            model_info=self.model_info(),
            voices=[tts_pb2.Voice(name="anna", language_codes=["en"])],
            sample_rate_hertz=MODEL_HERTZ,
            word_time_offsets=True,
        )


@dataclass(slots=True, eq=False)
class _Segment:
    index: int
    number: int
    """Its place in `FakeVoice.asked`."""
    work: Work
    clauses: asyncio.Queue[tuple[int, str] | None] = field(default_factory=asyncio.Queue[tuple[int, str] | None])
    rest: str = ""
    taken: int = 0
    """Characters that clauses hold."""
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    sent_s: float = 0.0

    def add(self, text: str) -> None:
        self.rest += text
        while (found := _CLAUSE.match(self.rest)) is not None:
            self._cut(found.end())

    def end(self) -> None:
        if self.rest.strip():
            self._cut(len(self.rest))
        self.clauses.put_nowait(None)

    def _cut(self, end: int) -> None:
        self.clauses.put_nowait((self.taken, self.rest[:end]))
        self.taken, self.rest = self.taken + end, self.rest[end:]


class _Speaking:
    """One stream's segments, one after another."""

    def __init__(self, service: FakeVoice, call: Call, config: tts_pb2.SynthesisConfig) -> None:
        self._service, self._call = service, call
        self._rate_hertz = config.audio_format.sample_rate_hertz or MODEL_HERTZ
        self._tells_words = config.word_time_offsets
        self._waiting = asyncio.Queue[_Segment | None]()
        self._unfinished: list[_Segment] = []
        self._open: _Segment | None = None
        self._count = 0

    async def take_requests(self) -> None:
        """To the end of the requests, which ends the open segment too."""
        async for kind, request in self._call:
            match kind:
                case "text":
                    segment = self._open = self._open or self._start()
                    self._service.asked[segment.number] += request.text.text
                    segment.add(request.text.text)
                case "end_of_segment":
                    self._end(self._open or self._start())
                case _:
                    self._open = None
                    for segment in self._unfinished:
                        segment.cancelled.set()
        if self._open is not None:
            self._end(self._open)
        self._waiting.put_nowait(None)

    def _start(self) -> _Segment:
        segment = _Segment(self._count, len(self._service.asked), self._service.work())
        self._service.asked.append("")
        self._count += 1
        self._unfinished.append(segment)
        self._waiting.put_nowait(segment)
        return segment

    def _end(self, segment: _Segment) -> None:
        self._open = None
        segment.end()

    async def run(self) -> None:
        """Speak all segments."""
        while (segment := await self._waiting.get()) is not None:
            speaking = asyncio.create_task(self._speak(segment))
            cancelled = asyncio.create_task(segment.cancelled.wait())
            try:
                await asyncio.wait({speaking, cancelled}, return_when=asyncio.FIRST_COMPLETED)
                if speaking.done():
                    speaking.result()
            finally:
                speaking.cancel()
                cancelled.cancel()
            self._unfinished.remove(segment)
            finished = tts_pb2.SegmentFinished(
                segment_index=segment.index,
                audio_duration=duration(segment.sent_s),
                cancelled=segment.cancelled.is_set(),
                timing=segment.work.timing(),
            )
            await self._call.send(Response(segment_finished=finished))

    async def _speak(self, segment: _Segment) -> None:
        is_first = True
        while (clause := await segment.clauses.get()) is not None:
            start, text = clause
            await self._service.works()
            segment.work.started_ns = segment.work.started_ns or self._service.clock.wall_ns()
            await self._service.works(self._service.first_s)
            if is_first:
                audio_format = common_pb2.AudioFormat(
                    encoding=common_pb2.AudioFormat.ENCODING_PCM_S16LE, sample_rate_hertz=self._rate_hertz
                )
                started = tts_pb2.SegmentStarted(segment_index=segment.index, audio_format=audio_format)
                segment.work.output()
                await self._call.send(Response(segment_started=started))
                is_first = False
            # White space before a clause is none of it, as in the true service.
            begin, end = start + len(text) - len(text.lstrip()), start + len(text.rstrip())
            await self._speak_clause(segment, begin, end, text)

    async def _speak_clause(self, segment: _Segment, begin: int, end: int, text: str) -> None:
        begin_s, audio = segment.sent_s, b""
        for word in text.split():
            at_s = begin_s + len(audio) / 2 / self._rate_hertz
            audio += spoken_word(word, VOICE, self._rate_hertz)
            if self._tells_words:
                end_s = begin_s + len(audio) / 2 / self._rate_hertz
                timing = tts_pb2.WordTiming(
                    segment_index=segment.index, text=word, start_offset=duration(at_s), end_offset=duration(end_s)
                )
                await self._call.send(Response(word_timing=timing))
        step = 2 * round(PIECE_S * self._rate_hertz)
        for place in range(0, len(audio), step):
            data = audio[place : place + step]
            length_s = len(data) / 2 / self._rate_hertz
            await self._service.works(length_s / self._service.pace)
            segment.work.output()
            piece = tts_pb2.SegmentAudio(
                segment_index=segment.index,
                data=data,
                offset=duration(segment.sent_s),
                text_start=begin,
                text_end=end,
            )
            await self._call.send(Response(audio=piece))
            segment.sent_s += length_s
            self._service.made_s += length_s
