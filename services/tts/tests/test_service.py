"""What the default engine cannot show, shown with an engine of tones: words, cloning, slow models, turns."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
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
from voxmesh_tts.engine import PROSODY_RATE, EngineInfo, SpokenWord, SynthesisOptions, Voice
from voxmesh_tts.servicer import TtsService
from voxmesh_tts.settings import TtsSettings

pytestmark = pytest.mark.engine

RATE = 16000
SSML = tts_pb2.SynthesisConfig.TEXT_FORMAT_SSML
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
        self.paces: list[float] = []
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

    def synthesize(self, clause: str, pace: float = 1.0) -> Iterator[Samples | SpokenWord]:
        """A tone and its place for every word."""
        self._engine.clauses.append(clause)
        self._engine.paces.append(pace)
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


async def test_words_are_told_as_they_are_written_and_spoken_in_words() -> None:
    engine = ToneEngine()
    async with speaking(engine, word_time_offsets=True) as [stream]:
        await stream.send(text("Pay $48.50 "), text("now."), END)
        await stream.until("segment_finished")
        words = [response.word_timing for response in stream.seen if response.HasField("word_timing")]
    assert engine.clauses == ["Pay forty-eight dollars and fifty cents now."]
    assert [word.text for word in words] == ["Pay", "$48.50", "now."]
    assert [seconds_of(word.end_offset) for word in words] == pytest.approx([0.1, 0.6, 0.7])


@pytest.mark.parametrize(
    ("config", "spoken"),
    [
        ({}, "May twelfth, twenty twenty-six."),
        ({"language_code": "en-GB"}, "the fifth of December, twenty twenty-six."),
        ({"voice": "ravi"}, "the fifth of December, twenty twenty-six."),
        ({"text_format": tts_pb2.SynthesisConfig.TEXT_FORMAT_PLAIN}, "May twelfth, twenty twenty-six."),
    ],
)
async def test_dates_are_read_as_where_the_text_is_from(config: dict[str, Any], spoken: str) -> None:
    engine = ToneEngine()
    async with speaking(engine, **config) as [stream]:
        await stream.send(text("5/12/2026."), END)
        await stream.until("segment_finished")
    assert engine.clauses == [spoken]


async def test_an_engine_that_reads_numbers_gets_the_text_without_marks_alone() -> None:
    engine = ToneEngine()
    engine.info = replace(engine.info, reads_numbers=True)
    async with speaking(engine) as [stream]:
        await stream.send(text("**Pay** $48.50."), END)
        await stream.until("segment_finished")
    assert engine.clauses == ["Pay $48.50."]


async def test_ssml_is_spoken_with_its_pauses_and_told_of_in_ready() -> None:
    engine = ToneEngine()
    document = '<speak>one <break time="1s"/><sub alias="two and">2&amp;</sub> <prosody rate="fast">3</prosody></speak>'
    async with speaking(engine, text_format=SSML) as [stream]:
        await stream.send(*map(text, document), END)
        finished = await stream.until("segment_finished")
        [outcome] = stream.seen[0].ready.options
        audio = [response.audio for response in stream.seen if response.HasField("audio")]
    assert engine.clauses == ["one", "two and three"]
    assert seconds_of(finished.audio_duration) == pytest.approx(0.1 + 1.0 + 0.3)
    assert outcome.field == "config.text_format"
    assert outcome.outcome == common_pb2.OptionOutcome.OUTCOME_APPROXIMATED
    assert outcome.detail == "heeds break, p, s, say-as, sub; what other elements hold is read as text"
    ranges = list(dict.fromkeys((message.text_start, message.text_end) for message in audio))
    places = [document[start:end] for start, end in ranges]
    assert places == [
        "one",
        '<break time="1s"/>',
        '<sub alias="two and">2&amp;</sub> <prosody rate="fast">3',
    ]


async def test_an_engine_with_rates_of_its_own_is_told_the_pace_of_a_clause() -> None:
    engine = ToneEngine()
    engine.info = replace(engine.info, ssml_elements=frozenset({PROSODY_RATE}))
    async with speaking(engine, text_format=SSML) as [stream]:
        await stream.send(text('<speak>one <prosody rate="fast">two</prosody> three</speak>'), END)
        await stream.until("segment_finished")
    assert list(zip(engine.clauses, engine.paces, strict=True)) == [("one", 1.0), ("two", 1.25), ("three", 1.0)]


async def test_a_pause_is_dropped_by_a_cancel_like_speech() -> None:
    engine = ToneEngine()
    async with speaking(engine, text_format=SSML) as [stream]:
        await stream.send(text('<speak>one <break time="10s"/>'), CANCEL, text("<speak>two</speak>"), END)
        assert (await stream.until("segment_finished")).cancelled
        assert seconds_of((await stream.until("segment_finished")).audio_duration) == pytest.approx(0.1)


@pytest.mark.parametrize("ending", [[END], []])
async def test_ssml_that_is_not_complete_is_refused_with_its_place(ending: list[Request]) -> None:
    async with speaking(ToneEngine(), text_format=SSML) as [stream]:
        await stream.send(text("<speak>one"), *ending)
        await stream.half_close()
        error = await stream.failure()
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "SSML at line 1, column 11: no element found" in str(error.details())


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
        await wait_until(lambda: engine.words > 0)
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
