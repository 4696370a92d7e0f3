"""What the default engine cannot show, shown with an engine of tones: words, cloning, slow models, turns."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import numpy as np
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from voxmesh.common.v1 import common_pb2
from voxmesh.tts.v1 import tts_pb2, tts_pb2_grpc
from voxmesh_runtime.audio import AudioFormat, Encoding, Samples
from voxmesh_runtime.clock import seconds_of
from voxmesh_runtime.engine import ModelFacts
from voxmesh_runtime.outcomes import Outcome, applied
from voxmesh_testing.engines import hosting
from voxmesh_testing.streams import exchange, serving, wait_until
from voxmesh_testing.tts import CANCEL, END, Request, Stream, text
from voxmesh_tts.engine import EngineInfo, SpokenWord, SynthesisOptions, Voice
from voxmesh_tts.servicer import TtsService
from voxmesh_tts.settings import TtsSettings

pytestmark = pytest.mark.engine

RATE = 16000
VOICES = (Voice("anna", ("en-US",)), Voice("ravi", ("en-IN", "hi-IN")))


class ToneEngine:
    """Every word of a clause is a tone of `word_s` seconds, in pieces of one word."""

    def __init__(self, word_s: float = 0.1) -> None:
        self.word_s = word_s
        self.info = EngineInfo(
            facts=ModelFacts("tone", "Apache-2.0", language_codes=("en-US", "en-IN", "hi-IN")),
            sample_rate_hertz=RATE,
            voices=VOICES,
            word_time_offsets=True,
            voice_cloning=True,
            instruction=True,
        )
        self.opened: list[SynthesisOptions] = []
        self.closed_sessions = 0
        self.clauses: list[str] = []
        self.words = 0
        self.order: list[str] = []
        self.abandoned = 0
        self.threads: set[int] = set()
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def load(self) -> None:
        """Nothing to load."""

    def warm_up(self) -> None:
        """Nothing to warm up."""

    def close(self) -> None:
        """Nothing to free."""

    def open(self, options: SynthesisOptions) -> ToneSession:
        """A session that remembers its options."""
        self.opened.append(options)
        return ToneSession(self, options)


class ToneSession:
    """One stream's tones."""

    def __init__(self, engine: ToneEngine, options: SynthesisOptions) -> None:
        self._engine = engine
        self._options = options

    @property
    def outcomes(self) -> Sequence[Outcome]:
        """All applied."""
        options = self._options
        outcomes = [applied("config.instruction")] if options.instruction else []
        return [*outcomes, *([applied("config.voice_reference")] if options.voice_reference else [])]

    def synthesize(self, clause: str) -> Iterator[Samples | SpokenWord]:
        """A tone and its place for every word."""
        self._engine.clauses.append(clause)
        self._engine.threads.add(threading.get_ident())
        complete = False
        try:
            for index, word in enumerate(clause.split()):
                assert self._engine.may_go_on.wait(30)
                self._engine.words += 1
                self._engine.order.append(word)
                if self._options.word_time_offsets:
                    yield SpokenWord(word, index * 0.1, (index + 1) * 0.1)
                yield np.full(round(self._engine.word_s * RATE), 0.1, np.float32)
            complete = True
        finally:
            self._engine.abandoned += not complete
            self._engine.threads.add(threading.get_ident())

    def close(self) -> None:
        """Count it."""
        self._engine.closed_sessions += 1


@asynccontextmanager
async def speaking(engine: ToneEngine, count: int = 1, **config: Any) -> AsyncGenerator[list[Stream]]:
    settings = TtsSettings()
    async with serving(TtsService(hosting("tts", engine, settings), settings), settings) as (channel, _):
        method = tts_pb2_grpc.TextToSpeechServiceStub(channel).StreamingSynthesize
        async with _streams(method, count, tts_pb2.SynthesisConfig(**config)) as streams:
            yield streams


@asynccontextmanager
async def _streams(method: Any, count: int, config: tts_pb2.SynthesisConfig) -> AsyncGenerator[list[Stream]]:
    if count == 0:
        yield []
        return
    async with exchange(method, Request(config=config)) as stream:
        await stream.until("ready")
        async with _streams(method, count - 1, config) as others:
            yield [stream, *others]


async def test_words_lie_where_they_are_in_the_segment() -> None:
    async with speaking(ToneEngine(), word_time_offsets=True) as [stream]:
        await stream.send(text("one two. three four."), END)
        await stream.until("segment_finished")
        words = [response.word_timing for response in stream.seen if response.HasField("word_timing")]
        assert [word.text for word in words] == ["one", "two.", "three", "four."]
        starts = [seconds_of(word.start_offset) for word in words]
        assert starts == pytest.approx([0.0, 0.1, 0.2, 0.3])
        assert seconds_of(words[-1].end_offset) == pytest.approx(0.4)


async def test_no_words_are_sent_unless_asked_for() -> None:
    async with speaking(ToneEngine()) as [stream]:
        await stream.send(text("one two."), END)
        await stream.until("segment_finished")
        assert not any(response.HasField("word_timing") for response in stream.seen)


async def test_a_recording_and_an_instruction_reach_the_engine() -> None:
    engine = ToneEngine()
    reference = tts_pb2.VoiceReference(
        audio_format=AudioFormat(Encoding.S16LE, 8000, 2).to_proto(), audio=bytes(8000 * 2 * 4), transcript="so it is"
    )
    async with speaking(engine, voice_reference=reference, instruction="in a hurry") as [stream]:
        options = engine.opened[0]
        assert options.voice_reference is not None
        assert len(options.voice_reference.samples) == pytest.approx(2 * RATE, abs=2)
        assert options.voice_reference.transcript == "so it is"
        assert options.instruction == "in a hurry"
        fields = [outcome.field for outcome in stream.seen[0].ready.options]
        assert fields == ["config.instruction", "config.voice_reference"]


@pytest.mark.parametrize(
    ("config", "voice", "language"),
    [
        ({}, "anna", "en-US"),
        ({"language_code": "en"}, "anna", "en-US"),
        ({"language_code": "en-in"}, "ravi", "en-IN"),
        ({"language_code": "hi"}, "ravi", "hi-IN"),
        ({"voice": "ravi"}, "ravi", "en-IN"),
        ({"voice": "anna", "language_code": "en-GB"}, "anna", "en-US"),
    ],
)
async def test_the_voice_follows_the_name_and_then_the_language(
    config: dict[str, str], voice: str, language: str
) -> None:
    engine = ToneEngine()
    async with speaking(engine, 1, **config):
        assert (engine.opened[0].voice, engine.opened[0].language_code) == (voice, language)


async def test_a_voice_that_does_not_speak_the_language_is_refused() -> None:
    settings = TtsSettings()
    config = Request(config=tts_pb2.SynthesisConfig(voice="anna", language_code="hi-IN"))
    async with serving(TtsService(hosting("tts", ToneEngine(), settings), settings), settings) as (channel, _):
        method = tts_pb2_grpc.TextToSpeechServiceStub(channel).StreamingSynthesize
        async with exchange(method, config) as stream:
            error = await stream.failure()
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
            assert "voice anna speaks en-US" in str(error.details())


async def test_a_cancel_is_answered_while_the_model_is_still_busy_and_its_generator_is_closed() -> None:
    engine = ToneEngine()
    async with speaking(engine) as [stream]:
        engine.may_go_on.clear()
        await stream.send(text("one two three four five."))
        await wait_until(lambda: bool(engine.clauses))
        await stream.send(CANCEL)
        assert (await stream.until("segment_finished")).cancelled
        engine.may_go_on.set()
        await wait_until(lambda: engine.abandoned == 1)
        assert engine.words == 1
        await stream.send(text("six."), END)
        assert seconds_of((await stream.until("segment_finished")).audio_duration) == pytest.approx(0.1)


async def test_a_cancel_stops_audio_that_is_already_made_and_the_model_closes_its_generator() -> None:
    engine = ToneEngine(word_s=600)
    async with speaking(engine) as [stream]:
        await stream.send(text("one two."))
        await stream.until("audio")
        await stream.send(CANCEL)
        assert 0 < seconds_of((await stream.until("segment_finished")).audio_duration) < 600
        await wait_until(lambda: engine.abandoned == 1)
        assert len(engine.threads) == 1


async def test_a_client_that_vanishes_stops_the_model_and_frees_its_session() -> None:
    engine = ToneEngine()
    async with speaking(engine) as [stream]:
        engine.may_go_on.clear()
        await stream.send(text("one two three four five."))
        await wait_until(lambda: bool(engine.clauses))
        stream.call.cancel()
        await asyncio.sleep(0.1)
        engine.may_go_on.set()
        await wait_until(lambda: engine.closed_sessions == 1, 1.0)
        assert engine.words == 1


async def test_two_streams_take_turns_on_the_model() -> None:
    engine = ToneEngine()
    async with speaking(engine, count=2) as [first, second]:
        engine.may_go_on.clear()
        await first.send(text("a " * 30 + "a."), END)
        await wait_until(lambda: bool(engine.clauses))
        await second.send(text("b b."), END)
        await asyncio.sleep(0.1)
        engine.may_go_on.set()
        await second.until("segment_finished")
        await first.until("segment_finished")
        assert engine.words == 33
        # The short text came second and did not wait for the long one.
        assert engine.order.index("b.") < 10


async def test_a_reader_that_stops_holds_synthesis_back() -> None:
    engine = ToneEngine()
    long = "word " * 1999 + "word."
    async with speaking(engine, audio_format=AudioFormat(Encoding.F32LE, 48000, 8).to_proto()) as [stream]:
        await stream.send(text(long), text(long))
        done = -1
        while done != engine.words:
            done = engine.words
            await asyncio.sleep(0.5)
        assert 0 < done < 1000


async def test_a_segment_runs_under_the_trace_of_its_first_text(spans: InMemorySpanExporter) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    context = common_pb2.TraceContext(traceparent=f"00-{trace_id}-b7ad6b7169203331-01")
    async with speaking(ToneEngine()) as [stream]:
        await stream.send(Request(text=tts_pb2.SegmentText(text="one two.", trace_context=context)), END)
        await stream.until("segment_finished")
    [span] = [span for span in spans.get_finished_spans() if span.name == "tts"]
    assert span.context is not None
    assert f"{span.context.trace_id:032x}" == trace_id
    assert span.attributes is not None
    assert span.attributes["voxmesh.audio_s"] == pytest.approx(0.2)


@pytest.fixture
def spans() -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter
