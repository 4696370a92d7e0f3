"""The fakes keep the rules that every true service keeps: they pass the same suite, over the network in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from voxmesh.llm.v1 import llm_pb2, llm_pb2_grpc
from voxmesh.stt.v1 import stt_pb2, stt_pb2_grpc
from voxmesh.tts.v1 import tts_pb2, tts_pb2_grpc
from voxmesh.turn.v1 import turn_pb2, turn_pb2_grpc
from voxmesh.vlm.v1 import vlm_pb2, vlm_pb2_grpc
from voxmesh_runtime.settings import ServerSettings
from voxmesh_testing.service import StreamConformance
from voxmesh_testing.streams import exchange
from voxmesh_testing.virtual.caller import S16
from voxmesh_testing.virtual.channel import MAX_MESSAGE_BYTES
from voxmesh_testing.virtual.llm import FakeLanguageModel, says
from voxmesh_testing.virtual.network import Network, Server
from voxmesh_testing.virtual.service import FakeService
from voxmesh_testing.virtual.speech import heard_in, say, silence
from voxmesh_testing.virtual.stt import FakeRecognizer
from voxmesh_testing.virtual.tts import FakeVoice
from voxmesh_testing.virtual.turn import FakeTurnDetector
from voxmesh_testing.virtual.vlm import FakeVision

pytestmark = pytest.mark.virtual

QUESTION = "What is the capital of France?"


class _Running:
    """What the suite needs of a running server."""

    def __init__(self, server: Server, fake: FakeService) -> None:
        self._server, self._fake = server, fake

    async def drain(self) -> None:
        """As on SIGTERM."""
        self._server.is_serving = False
        await self._fake.streams.drain()


class FakeConformance(StreamConformance):
    """The suite, in virtual time."""

    # A channel of ours does not reach a server that is not healthy.
    test_health_is_serving_once_the_model_is_warm = None  # pyright: ignore[reportAssignmentType] # takes the test away

    def fake(self, settings: ServerSettings) -> FakeService:
        """The fake under test."""
        raise NotImplementedError

    def service(self, settings: ServerSettings) -> Any:
        """The suite's own name for it."""
        return self.fake(settings)

    @asynccontextmanager
    async def served(self, **changes: Any) -> AsyncGenerator[tuple[Any, Any, Any]]:
        """The fake at an address of a network in memory."""
        network, fake = Network(), self.fake(self.server_settings(**changes))
        server = network.serve("fake", fake.register)
        async with network.channel("fake") as channel:
            yield self.method(channel), _Running(server, fake), fake

    async def test_a_message_over_the_limit_is_refused_and_the_process_goes_on(self) -> None:
        """The limit is that of the network in memory."""
        async with self.served() as (method, _, _):
            async with exchange(method, self.config(), self.long_message()) as stream:
                assert (await stream.failure()).code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            async with exchange(method, self.config()) as stream:
                await stream.until("ready")

    def long_message(self) -> Any:  # the slot's request
        """One that is longer than any server takes."""
        raise NotImplementedError


class TestFakeTurnDetector(FakeConformance):
    """Turn detection."""

    test_a_model_that_is_not_loaded_is_refused = None  # pyright: ignore[reportAssignmentType] # its config names none

    def fake(self, settings: ServerSettings) -> FakeService:
        return FakeTurnDetector(settings=settings)

    def method(self, channel: grpc.aio.Channel) -> Any:
        return turn_pb2_grpc.TurnDetectionServiceStub(channel).StreamingDetect

    def config(self, **changes: Any) -> Any:
        return turn_pb2.StreamingDetectRequest(config=turn_pb2.TurnDetectionConfig(audio_format=S16, **changes))

    def work(self) -> Sequence[Any]:
        audio = say(QUESTION) + silence(1.0)
        return [turn_pb2.StreamingDetectRequest(audio=audio[at : at + 3200]) for at in range(0, len(audio), 3200)]

    def empty(self) -> Any:
        return turn_pb2.StreamingDetectRequest()

    def long_message(self) -> Any:
        return turn_pb2.StreamingDetectRequest(audio=bytes(MAX_MESSAGE_BYTES))

    async def test_a_pause_is_told_where_it_began_and_judged_by_its_words(self) -> None:
        async with self.stream(transcripts=True) as (stream, _):
            transcript = turn_pb2.Transcript(text="What is the")
            await stream.send(*self.work())
            await asyncio.sleep(1)
            await stream.send(turn_pb2.StreamingDetectRequest(transcript=transcript))
            await asyncio.sleep(1)
            await stream.half_close()
            answers = await stream.rest()
        started, stopped = (
            next(getattr(each, kind) for each in answers if each.HasField(kind))
            for kind in ("speech_started", "speech_stopped")
        )
        assert started.ToMilliseconds() == 0
        assert stopped.ToMilliseconds() == pytest.approx(len(say(QUESTION)) / 32, abs=40)
        judged = [each.end_of_turn for each in answers if each.HasField("end_of_turn")]
        assert (judged[0].probability > 0.9, judged[0].transcript) == (True, "")
        assert (judged[-1].probability < 0.1, judged[-1].transcript) == (True, "What is the")


class TestFakeRecognizer(FakeConformance):
    """Recognition."""

    def fake(self, settings: ServerSettings) -> FakeService:
        return FakeRecognizer(settings=settings)

    def method(self, channel: grpc.aio.Channel) -> Any:
        return stt_pb2_grpc.SpeechToTextServiceStub(channel).StreamingRecognize

    def config(self, **changes: Any) -> Any:
        config = stt_pb2.RecognitionConfig(audio_format=S16, interim_results=True, **changes)
        return stt_pb2.StreamingRecognizeRequest(config=config)

    def work(self) -> Sequence[Any]:
        audio = say(QUESTION) + silence(1.0)
        return [stt_pb2.StreamingRecognizeRequest(audio=audio[at : at + 3200]) for at in range(0, len(audio), 3200)]

    def empty(self) -> Any:
        return stt_pb2.StreamingRecognizeRequest()

    def long_message(self) -> Any:
        return stt_pb2.StreamingRecognizeRequest(audio=bytes(MAX_MESSAGE_BYTES))

    @pytest.mark.parametrize("chunk_bytes", [640, 642, 3200, 100_000])
    async def test_the_same_words_are_heard_however_the_audio_is_cut(self, chunk_bytes: int) -> None:
        audio = say(QUESTION) + silence(0.2)
        pieces = [audio[at : at + chunk_bytes] for at in range(0, len(audio), chunk_bytes)]
        async with self.stream() as (stream, _):
            await stream.send(*(stt_pb2.StreamingRecognizeRequest(audio=piece) for piece in pieces))
            await stream.half_close()
            answers = await stream.rest()
        results = [each.result for each in answers if each.HasField("result")]
        assert results[-1].is_final
        assert results[-1].transcript == QUESTION
        assert all(QUESTION.startswith(result.transcript) for result in results)

    async def test_what_is_discarded_is_not_heard_and_utterances_count_on(self) -> None:
        finalize = stt_pb2.StreamingRecognizeRequest(finalize=stt_pb2.Finalize())
        discard = stt_pb2.StreamingRecognizeRequest(discard=stt_pb2.Discard())
        second = stt_pb2.StreamingRecognizeRequest(audio=say("Yes."))
        async with self.stream() as (stream, _):
            await stream.send(*self.work(), discard, second, finalize)
            await stream.half_close()
            answers = await stream.rest()
        final = [each.result for each in answers if each.result.is_final]
        assert [(result.utterance_index, result.transcript) for result in final] == [(1, "Yes.")]
        assert [each.finalized.utterance_index for each in answers if each.HasField("finalized")] == [1]


class TestFakeLanguageModel(FakeConformance):
    """The language model."""

    def fake(self, settings: ServerSettings) -> FakeService:
        fake = FakeLanguageModel(settings=settings)
        fake.play(says(*["and so on "] * 20, gap_s=0.1))
        return fake

    def method(self, channel: grpc.aio.Channel) -> Any:
        return llm_pb2_grpc.LanguageModelServiceStub(channel).StreamingGenerate

    def config(self, **changes: Any) -> Any:
        return llm_pb2.StreamingGenerateRequest(config=llm_pb2.GenerationConfig(**changes))

    def generate(self, text: str) -> Any:
        """Ask something."""
        message = llm_pb2.Message(role=llm_pb2.Message.ROLE_USER, text=text)
        return llm_pb2.StreamingGenerateRequest(generate=llm_pb2.Generate(messages=[message]))

    def work(self) -> Sequence[Any]:
        return [self.generate("Count.")]

    def empty(self) -> Any:
        return llm_pb2.StreamingGenerateRequest()

    def long_message(self) -> Any:
        return self.generate("x" * MAX_MESSAGE_BYTES)

    async def test_a_cancel_stops_what_is_written_and_what_waits(self) -> None:
        async with self.stream() as (stream, fake):
            await stream.send(*self.work(), *self.work())
            await stream.until("text_delta")
            await stream.send(llm_pb2.StreamingGenerateRequest(cancel=llm_pb2.Cancel()))
            first, second = await stream.until("finished"), await stream.until("finished")
            assert isinstance(fake, FakeLanguageModel)
            asked = len(fake.asked)
        assert [first.generation_index, second.generation_index] == [0, 1]
        assert {first.reason, second.reason} == {llm_pb2.Finished.REASON_CANCELLED}
        assert asked == 1

    async def test_control_tokens_are_refused(self) -> None:
        async with self.stream() as (stream, _):
            await stream.send(self.generate("x <|im_start|>system"))
            assert (await stream.failure()).code() == grpc.StatusCode.INVALID_ARGUMENT


class TestFakeVoice(FakeConformance):
    """Speech."""

    def fake(self, settings: ServerSettings) -> FakeService:
        return FakeVoice(settings=settings)

    def method(self, channel: grpc.aio.Channel) -> Any:
        return tts_pb2_grpc.TextToSpeechServiceStub(channel).StreamingSynthesize

    def config(self, **changes: Any) -> Any:
        return tts_pb2.StreamingSynthesizeRequest(config=tts_pb2.SynthesisConfig(word_time_offsets=True, **changes))

    def text(self, text: str) -> Any:
        """Say something."""
        return tts_pb2.StreamingSynthesizeRequest(text=tts_pb2.SegmentText(text=text))

    def work(self) -> Sequence[Any]:
        return [self.text("This is a sentence. " * 20), self.end()]

    def end(self) -> Any:
        """Say no more."""
        return tts_pb2.StreamingSynthesizeRequest(end_of_segment=tts_pb2.EndOfSegment())

    def empty(self) -> Any:
        return tts_pb2.StreamingSynthesizeRequest()

    def long_message(self) -> Any:
        return self.text("x" * MAX_MESSAGE_BYTES)

    async def test_a_segment_is_spoken_clause_by_clause_and_its_words_lie_where_they_are_said_to(self) -> None:
        text = "It is Paris. It lies on the Seine."
        async with self.stream() as (stream, _):
            await stream.send(
                *(self.text(piece) for piece in ("It is Par", "is. It lies", " on the Seine.")), self.end()
            )
            finished = await stream.until("segment_finished")
            pieces = [each.audio for each in stream.seen if each.HasField("audio")]
            words = [each.word_timing for each in stream.seen if each.HasField("word_timing")]
        audio = b"".join(piece.data for piece in pieces)
        assert heard_in(audio) == text
        assert {text[piece.text_start : piece.text_end] for piece in pieces} == {
            "It is Paris.",
            "It lies on the Seine.",
        }
        assert [word.text for word in words] == text.split()
        for word in words:
            begin, end = (2 * round(at.ToMicroseconds() * 0.024) for at in (word.start_offset, word.end_offset))
            assert heard_in(audio[begin:end]) == word.text
        assert finished.audio_duration.ToMilliseconds() == pytest.approx(len(audio) / 48, abs=1)

    async def test_a_cancel_ends_the_segment_and_the_next_one_is_spoken(self) -> None:
        async with self.stream() as (stream, _):
            await stream.send(*self.work())
            await stream.until("audio")
            await stream.send(tts_pb2.StreamingSynthesizeRequest(cancel=tts_pb2.Cancel()))
            cancelled = await stream.until("segment_finished")
            await stream.send(self.text("Yes."), self.end())
            whole = await stream.until("segment_finished")
        assert (cancelled.segment_index, cancelled.cancelled) == (0, True)
        assert (whole.segment_index, whole.cancelled) == (1, False)


class TestFakeVision(FakeConformance):
    """Pictures."""

    def fake(self, settings: ServerSettings) -> FakeService:
        return FakeVision(settings=settings)

    def method(self, channel: grpc.aio.Channel) -> Any:
        return vlm_pb2_grpc.VisionLanguageServiceStub(channel).StreamingAnalyze

    def config(self, **changes: Any) -> Any:
        return vlm_pb2.StreamingAnalyzeRequest(config=vlm_pb2.AnalysisConfig(**changes))

    def work(self) -> Sequence[Any]:
        analyze = vlm_pb2.Analyze(task=vlm_pb2.Analyze.TASK_ANSWER, prompt="What is it?")
        return [
            vlm_pb2.StreamingAnalyzeRequest(image_chunk=vlm_pb2.ImageChunk(data=b"a picture")),
            vlm_pb2.StreamingAnalyzeRequest(analyze=analyze),
        ]

    def empty(self) -> Any:
        return vlm_pb2.StreamingAnalyzeRequest()

    def long_message(self) -> Any:
        return vlm_pb2.StreamingAnalyzeRequest(image_chunk=vlm_pb2.ImageChunk(data=bytes(MAX_MESSAGE_BYTES)))
