"""What the caller gets of one segment: its start, its audio and words, and its end."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from voxmesh.tts.v1 import tts_pb2
from voxmesh_runtime.audio import AudioFormat, Samples
from voxmesh_runtime.clock import duration
from voxmesh_runtime.streams import StreamCall
from voxmesh_tts.clauses import Clause
from voxmesh_tts.engine import SpokenWord
from voxmesh_tts.output import AudioOutput, Chunk
from voxmesh_tts.segments import Segment
from voxmesh_tts.written import WrittenWords

Request = tts_pb2.StreamingSynthesizeRequest
Response = tts_pb2.StreamingSynthesizeResponse


class Delivery:
    """Sends one segment; after its cancellation nothing but its end."""

    def __init__(
        self, call: StreamCall[Request, Response], segment: Segment, audio_format: AudioFormat, model_hertz: int
    ) -> None:
        self._call = call
        self._segment = segment
        self._format = audio_format
        self._model_hertz = model_hertz
        self._output = AudioOutput(audio_format, model_hertz)
        self._clause = Clause("", 0, 0)
        self._words = WrittenWords(self._clause)
        self._taken = 0
        self._clause_start_s = 0.0
        self._started = False

    @property
    def duration_s(self) -> float:
        """Length of the audio that was sent, in seconds."""
        return self._output.duration_s

    def begin(self, clause: Clause) -> None:
        """What is sent from now on belongs to `clause`."""
        self._clause = clause
        self._clause_start_s = self._taken / self._model_hertz
        self._words = WrittenWords(clause)

    async def send(self, piece: Samples | SpokenWord) -> None:
        """Send a piece of the clause."""
        if isinstance(piece, SpokenWord):
            for word in self._words.of(piece):
                await self._send_word(word)
        else:
            self._taken += len(piece)
            await self._send_chunks(self._output.chunks(piece))

    async def send_words(self) -> None:
        """Send the last of the clause's words."""
        for word in self._words.rest():
            await self._send_word(word)

    async def send_silence(self, seconds: float) -> None:
        """Send a pause."""
        await self.send(np.zeros(round(seconds * self._model_hertz), np.float32))

    async def send_rest(self) -> None:
        """Send the last of the audio."""
        await self._send_chunks(self._output.rest())

    async def send_finished(self) -> None:
        """Say that nothing follows."""
        segment = self._segment
        finished = tts_pb2.SegmentFinished(
            segment_index=segment.index,
            audio_duration=duration(self.duration_s),
            cancelled=segment.cancelled,
            timing=segment.clock.to_proto(),
        )
        await self._call.send(Response(segment_finished=finished))

    async def _send_chunks(self, chunks: Iterator[Chunk]) -> None:
        # Looked at before a chunk is taken: what is taken counts as sent.
        while not self._segment.cancelled and (chunk := next(chunks, None)) is not None:
            await self._send_started()
            # Stamped first: an output that arrived before it left would make a caller doubt our clock.
            self._segment.clock.output()
            await self._call.send(Response(audio=self._audio(chunk)))

    async def _send_started(self) -> None:
        if not self._started:
            self._started = True
            started = tts_pb2.SegmentStarted(segment_index=self._segment.index, audio_format=self._format.to_proto())
            await self._call.send(Response(segment_started=started))

    async def _send_word(self, word: SpokenWord) -> None:
        if self._segment.cancelled:
            return
        timing = tts_pb2.WordTiming(
            segment_index=self._segment.index,
            text=word.text,
            start_offset=duration(self._clause_start_s + word.start_s),
            end_offset=duration(self._clause_start_s + word.end_s),
        )
        await self._send_started()
        await self._call.send(Response(word_timing=timing))

    def _audio(self, chunk: Chunk) -> tts_pb2.SegmentAudio:
        return tts_pb2.SegmentAudio(
            segment_index=self._segment.index,
            data=chunk.data,
            offset=duration(chunk.offset_s),
            text_start=self._clause.start,
            text_end=self._clause.end,
        )
