"""One stream's recognition: its portions of audio go to the engine, its transcripts to the caller."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from voxmesh.stt.v1 import stt_pb2
from voxmesh_runtime import names
from voxmesh_runtime.batcher import Batcher
from voxmesh_runtime.clock import WorkClock, duration
from voxmesh_runtime.streams import StreamCall
from voxmesh_runtime.telemetry import work_span
from voxmesh_runtime.thread import Completed
from voxmesh_stt.engine import Host, RecognitionOptions, Session, Step, Transcript, Word
from voxmesh_stt.inbox import Discard, Finalize, Inbox, Portion

Request = stt_pb2.StreamingRecognizeRequest
Response = stt_pb2.StreamingRecognizeResponse
SttBatcher: TypeAlias = Batcher[Step, Sequence[Transcript]]


class Recognition:
    """Takes portions from the inbox one after another until it closes."""

    def __init__(
        self,
        call: StreamCall[Request, Response],
        session: Session,
        batcher: SttBatcher,
        host: Host,
        options: RecognitionOptions,
    ) -> None:
        self._call = call
        self._session = session
        self._batcher = batcher
        self._host = host
        self._options = options
        self._samples = 0
        self._since_finalized = 0
        self._never_stepped = 0
        self._utterance_index = 0

    async def run(self, inbox: Inbox) -> None:
        """Recognise until the inbox is closed and empty."""
        while (portion := await inbox.take()) is not None:
            self._samples += len(portion.samples)
            self._since_finalized += len(portion.samples)
            match portion.command:
                case Finalize() as finalize:
                    await self._finalize(portion, finalize)
                case Discard():
                    await self._batcher.thread.call(self._session.discard)
                    self._never_stepped += len(portion.samples)
                    self._since_finalized = 0
                    self._utterance_index += 1
                case None:
                    clock = WorkClock(portion.received_ns)
                    completed = await self._batcher.run(Step(self._session, portion.samples, is_final=False))
                    _count(clock, completed)
                    await self._send(completed.result, clock)

    async def _finalize(self, portion: Portion, finalize: Finalize) -> None:
        clock = finalize.clock
        with work_span(names.SPAN_STT, finalize.trace_context, clock, self._host.span_attributes) as span:
            completed = await self._batcher.run(Step(self._session, portion.samples, is_final=True))
            _count(clock, completed)
            span.set_attribute(names.AUDIO_S, self._seconds(self._since_finalized))
            await self._send(completed.result)
        self._since_finalized = 0
        finalized = stt_pb2.Finalized(utterance_index=self._utterance_index - 1, timing=clock.to_proto(is_output=True))
        await self._call.send(Response(finalized=finalized))

    async def _send(self, transcripts: Iterable[Transcript], clock: WorkClock | None = None) -> None:
        for transcript in transcripts:
            if transcript.is_final or self._options.interim_results:
                result = self._result(transcript)
                if clock is not None:
                    result.timing.CopyFrom(clock.to_proto(is_output=True))
                    result.received_audio_duration.CopyFrom(duration(self._seconds(self._samples)))
                await self._call.send(Response(result=result))
            if transcript.is_final:
                self._utterance_index += 1

    def _result(self, transcript: Transcript) -> stt_pb2.RecognitionResult:
        # The session's clock lacks the audio that was discarded before it saw it.
        missed_s = self._seconds(self._never_stepped)
        end_s = self._seconds(self._samples) if transcript.end_s is None else missed_s + transcript.end_s
        words = transcript.words if transcript.is_final and self._options.word_time_offsets else ()
        return stt_pb2.RecognitionResult(
            utterance_index=self._utterance_index,
            transcript=transcript.text,
            is_final=transcript.is_final,
            stable_character_count=len(transcript.text) if transcript.is_final else transcript.stable_character_count,
            confidence=transcript.confidence,
            language_code=transcript.language_code,
            words=[_word(word, missed_s) for word in words],
            end_offset=duration(end_s),
        )

    def _seconds(self, samples: int) -> float:
        return samples / self._host.info.sample_rate_hertz


def _count(clock: WorkClock, completed: Completed[Sequence[Transcript]]) -> None:
    # A step of the same stream that was under way is a wait like any other.
    waited_s = max(completed.queued_s, (completed.started_ns - clock.received_ns) / 1e9)
    clock.worked(completed.started_ns, completed.compute_s, waited_s, completed.batch_size)


def _word(word: Word, missed_s: float) -> stt_pb2.Word:
    return stt_pb2.Word(
        text=word.text,
        start_offset=duration(missed_s + word.start_s),
        end_offset=duration(missed_s + word.end_s),
        confidence=word.confidence,
        language_code=word.language_code,
    )
