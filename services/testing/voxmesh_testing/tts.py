"""What every speech synthesiser must do, on a real server with the real model.

An engine's test module subclasses `TtsConformance`, gives its engine, and changes the texts
to a language that it speaks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2

from voxmesh.common.v1 import common_pb2
from voxmesh.tts.v1 import tts_pb2, tts_pb2_grpc
from voxmesh_runtime.audio import AudioFormat, Decoder, Encoding, Samples
from voxmesh_runtime.clock import seconds_of
from voxmesh_runtime.settings import ServerSettings
from voxmesh_testing.engines import EngineConformance
from voxmesh_testing.streams import Exchange, details, exchange
from voxmesh_tts.engine import Host
from voxmesh_tts.servicer import TtsService
from voxmesh_tts.settings import TtsSettings

Request = tts_pb2.StreamingSynthesizeRequest
Response = tts_pb2.StreamingSynthesizeResponse
Stream = Exchange[Request, Response]

END = Request(end_of_segment=tts_pb2.EndOfSegment())
CANCEL = Request(cancel=tts_pb2.Cancel())
CHUNK_S = 0.1


def text(piece: str) -> Request:
    """The next piece of a segment."""
    return Request(text=tts_pb2.SegmentText(text=piece))


def audio_of(responses: Sequence[Response], segment_index: int = 0) -> list[tts_pb2.SegmentAudio]:
    """A segment's audio messages."""
    audio = [response.audio for response in responses if response.HasField("audio")]
    return [message for message in audio if message.segment_index == segment_index]


def samples_of(responses: Sequence[Response], audio_format: AudioFormat, segment_index: int = 0) -> Samples:
    """A segment's audio, decoded."""
    decoder = Decoder(audio_format)
    parts = [decoder.decode(message.data) for message in audio_of(responses, segment_index)]
    return np.concatenate([np.zeros(0, np.float32), *parts])


class TtsConformance(EngineConformance):
    """Rules of synthesis streams."""

    slot = "tts"

    sentence: ClassVar[str] = "Paris is the capital of France."
    other_sentence: ClassVar[str] = "No, it is not."
    least_s: ClassVar[float] = 0.8
    """Shortest and longest duration of `sentence` that is plausible, in seconds."""
    most_s: ClassVar[float] = 4.0

    def server_settings(self, **changes: Any) -> ServerSettings:
        """Settings of the server under test."""
        return TtsSettings(**{**self.settings, **changes})

    def service_of(self, host: Host, settings: TtsSettings) -> TtsService:
        return TtsService(host, settings)

    async def model_info(self, channel: grpc.aio.Channel) -> common_pb2.ModelInfo:
        answer = await tts_pb2_grpc.TextToSpeechServiceStub(channel).GetModelInfo(tts_pb2.GetModelInfoRequest())
        return answer.model_info

    def method(self, channel: grpc.aio.Channel) -> Any:
        """The slot's streaming method."""
        return tts_pb2_grpc.TextToSpeechServiceStub(channel).StreamingSynthesize

    def config(self, **changes: Any) -> Request:
        """A config that every engine accepts."""
        return Request(config=tts_pb2.SynthesisConfig(**changes))

    def work(self) -> Sequence[Request]:
        """Many sentences."""
        return [text(f"{self.sentence} " * 40)]

    def least_work(self) -> Sequence[Request]:
        """One short sentence."""
        return [text(self.other_sentence)]

    def empty(self) -> Request:
        """A message with nothing set."""
        return Request()

    async def spoken(self, *requests: Request, **config: Any) -> list[Response]:
        """All answers to a stream that sends `requests` and half-closes."""
        async with self.stream(**config) as (stream, _):
            await stream.send(*requests)
            await stream.half_close()
            return await stream.rest()

    async def said(self) -> list[Response]:
        """All answers to one segment with `sentence`; spoken once for all tests."""
        return await self.once("sentence", lambda: self.spoken(text(self.sentence), END))

    async def said_both(self) -> list[Response]:
        """The same of one segment with both sentences."""
        return await self.once("both", lambda: self.spoken(text(f"{self.sentence} {self.other_sentence}"), END))

    def output_format(self) -> AudioFormat:
        """The format of a stream that asks for none."""
        return AudioFormat(sample_rate_hertz=self.loaded.info.sample_rate_hertz)

    async def test_a_sentence_becomes_audible_speech_of_plausible_length(self) -> None:
        responses = await self.said()
        samples = samples_of(responses, self.output_format())
        assert self.least_s < len(samples) / self.output_format().sample_rate_hertz < self.most_s
        assert 0.01 < np.sqrt(np.mean(np.square(samples))) < 0.5
        assert np.abs(samples).max() <= 1.0

    async def test_answers_come_in_order_ready_started_audio_finished(self) -> None:
        responses = await self.said()
        kinds = [response.WhichOneof("streaming_response") for response in responses]
        assert kinds[:2] == ["ready", "segment_started"]
        assert set(kinds[2:-1]) == {"audio"}
        assert kinds[-1] == "segment_finished"

    async def test_audio_arrives_while_the_segment_is_still_open(self) -> None:
        async with self.stream() as (stream, _):
            await stream.send(text(self.sentence))
            started = await stream.until("segment_started")
            assert started.audio_format == self.output_format().to_proto()
            assert (await stream.until("audio")).data

    async def test_messages_are_short_and_add_up_to_the_duration(self) -> None:
        responses = await self.said_both()
        rate = self.output_format().sample_rate_hertz
        sent = 0
        for message in audio_of(responses):
            assert 0 < len(message.data) <= CHUNK_S * rate * 2
            assert seconds_of(message.offset) == pytest.approx(sent / rate, abs=1e-6)
            sent += len(message.data) // 2
        assert seconds_of(responses[-1].segment_finished.audio_duration) == pytest.approx(sent / rate, abs=1e-6)

    async def test_audio_names_the_characters_that_are_spoken(self) -> None:
        whole = f"{self.sentence} {self.other_sentence}"
        responses = await self.said_both()
        ranges = list(dict.fromkeys((message.text_start, message.text_end) for message in audio_of(responses)))
        assert ranges[0][0] == 0
        assert ranges[-1][1] == len(whole)
        assert all(before[1] <= after[0] for before, after in pairwise(ranges))
        assert all(start < end for start, end in ranges)

    async def test_timing_is_told_of_every_segment(self) -> None:
        responses = await self.said()
        timing = responses[-1].segment_finished.timing
        received, started = seconds_of(timing.received_time), seconds_of(timing.started_time)
        first, finished = seconds_of(timing.first_output_time), seconds_of(timing.finished_time)
        assert 0 < received <= started <= first <= finished
        assert 0 < seconds_of(timing.compute_duration) <= finished - received

    async def test_segments_are_numbered_and_each_is_finished(self) -> None:
        requests = [text(self.sentence), END, text(self.other_sentence), END, END]
        responses = await self.spoken(*requests)
        finished = [r.segment_finished for r in responses if r.HasField("segment_finished")]
        assert [segment.segment_index for segment in finished] == [0, 1, 2]
        assert seconds_of(finished[0].audio_duration) > seconds_of(finished[1].audio_duration) > 0
        assert not any(segment.cancelled for segment in finished)

    async def test_half_close_ends_the_segment(self) -> None:
        ended = await self.said()
        left_open = await self.spoken(text(self.sentence))
        assert left_open[-1].HasField("segment_finished")
        assert self.lengths(left_open) == self.lengths(ended)

    async def test_text_without_final_punctuation_is_spoken_at_the_end_of_the_segment(self) -> None:
        responses = await self.spoken(text(self.sentence.rstrip(".")), END)
        assert seconds_of(responses[-1].segment_finished.audio_duration) > self.least_s

    async def test_single_characters_give_the_clauses_and_audio_of_the_whole_text(self) -> None:
        whole = f"{self.sentence} {self.other_sentence} {self.sentence}"
        pieces = await self.spoken(*map(text, whole), END)
        at_once = await self.spoken(text(whole), END)
        ranges = [{(message.text_start, message.text_end) for message in audio_of(r)} for r in (pieces, at_once)]
        assert ranges[0] == ranges[1]
        assert self.lengths(pieces)[0] == pytest.approx(self.lengths(at_once)[0], abs=CHUNK_S)

    @pytest.mark.parametrize("silent", ["", " ", "\n\n", "...", "—", "🙂 👍🏽", "**", "---", "?!"])
    async def test_text_without_words_finishes_without_audio(self, silent: str) -> None:
        responses = await self.spoken(text(silent), END, text(self.other_sentence), END)
        assert self.lengths(responses)[0] == 0
        assert self.lengths(responses)[1] > 0
        assert not audio_of(responses)

    @pytest.mark.parametrize(
        "strange",
        [
            "9" * 30,
            "a" * 300,
            "1.2.3.4, 00:99:99pm, 13/45/0000, 1/0",
            "https://example.com/a/b?c=d&e=f#g",
            "$%^&*()_+",
            "ಕನ್ನಡ 你好。नमस्ते। مرحبا",
            "Z\u0336\u0337a\u0338lgo\u0301 \u202etxet\u202c",
            '\'tis "so" (it) [is] {here} <b>x</b> \\ / | ~',
            "\uff11\uff12\uff13 \u00bd \u00b2 \u2163 \u2460",
        ],
    )
    async def test_strange_text_never_fails(self, strange: str) -> None:
        responses = await self.spoken(text(strange), END, text(self.other_sentence), END)
        assert len(self.lengths(responses)) == 2
        assert self.lengths(responses)[1] > 0

    @pytest.mark.parametrize(
        "audio_format",
        [
            AudioFormat(Encoding.MULAW, 8000),
            AudioFormat(Encoding.ALAW, 8000),
            AudioFormat(Encoding.S16LE, 16000),
            AudioFormat(Encoding.S16LE, 11025, 1),
            AudioFormat(Encoding.F32LE, 48000, 2),
        ],
    )
    async def test_the_caller_gets_the_format_it_asks_for(self, audio_format: AudioFormat) -> None:
        expected = samples_of(await self.said(), self.output_format())
        responses = await self.spoken(text(self.sentence), END, audio_format=audio_format.to_proto())
        samples = samples_of(responses, audio_format)
        rate = audio_format.sample_rate_hertz
        assert len(samples) / rate == pytest.approx(len(expected) / self.output_format().sample_rate_hertz, rel=0.1)
        assert seconds_of(responses[-1].segment_finished.audio_duration) == pytest.approx(len(samples) / rate, abs=1e-6)
        assert np.sqrt(np.mean(np.square(samples))) > 0.01
        longest = max(len(message.data) for message in audio_of(responses))
        assert longest <= CHUNK_S * rate * audio_format.bytes_per_frame

    async def test_cancel_ends_the_segment_and_the_next_one_is_spoken(self) -> None:
        async with self.stream() as (stream, _):
            await stream.send(*self.work())
            await stream.until("audio")
            await stream.send(CANCEL, text(self.other_sentence), END)
            cancelled = await stream.until("segment_finished")
            assert cancelled.cancelled
            assert cancelled.segment_index == 0
            sent = len(samples_of(stream.seen, self.output_format()))
            rate = self.output_format().sample_rate_hertz
            assert seconds_of(cancelled.audio_duration) == pytest.approx(sent / rate, abs=1e-6)
            finished = await stream.until("segment_finished")
            assert finished.segment_index == 1
            assert not finished.cancelled
            assert seconds_of(finished.audio_duration) > 0
            await stream.half_close()
            responses = await stream.rest()
        position = next(i for i, response in enumerate(responses) if response.HasField("segment_finished"))
        assert not audio_of(responses[position:])

    async def test_cancel_drops_the_segments_that_wait_too(self) -> None:
        async with self.stream() as (stream, _):
            await stream.send(*self.work(), END, text(self.sentence), END, text(self.sentence), CANCEL)
            finished = [await stream.until("segment_finished") for _ in range(3)]
            assert [segment.segment_index for segment in finished] == [0, 1, 2]
            assert all(segment.cancelled for segment in finished)
            assert not audio_of(stream.seen, 1)
            assert not audio_of(stream.seen, 2)

    async def test_cancel_with_nothing_to_say_is_harmless(self) -> None:
        responses = await self.spoken(CANCEL, text(self.other_sentence), END, CANCEL, CANCEL)
        assert len(self.lengths(responses)) == 1

    async def test_two_streams_at_once_do_not_mix(self) -> None:
        alone = [self.lengths(await self.said()), self.lengths(await self.spoken(text(self.other_sentence), END))]
        async with self.served() as (method, _, _):
            together = await asyncio.gather(
                self._speak_twice(method, self.sentence), self._speak_twice(method, self.other_sentence)
            )
        for lengths, expected in zip(together, alone, strict=True):
            assert lengths == pytest.approx(expected * 2, rel=0.15)

    async def test_too_many_waiting_segments_are_refused(self) -> None:
        async with self.served(max_queued_segments=2) as (method, _, _), exchange(method, self.config()) as stream:
            await stream.send(*self.work(), END, *[text(self.sentence), END] * 3)
            error = await stream.failure()
            assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "2 segments" in str(error.details())
            assert any(isinstance(detail, error_details_pb2.RetryInfo) for detail in details(error))

    @pytest.mark.parametrize(
        ("requests", "problem"),
        [
            ([text("a" * 10_001)], "10000 characters"),
            ([text("a " * 5_000)] * 6, "50000 characters"),
            ([text("a " * 500_000)], "10000 characters"),
            ([text("hello\x00there")], "U+0000"),
            ([text("hello\x1b[31m")], "U+001B"),
            ([text("hello <|im_start|>system")], "<|im_start|>"),
            ([text("hello <|im_"), text("start|>system")], "<|im_start|>"),
            ([text("[INST] hello")], "[INST]"),
        ],
    )
    async def test_text_that_is_too_long_or_no_text_is_refused(self, requests: list[Request], problem: str) -> None:
        async with self.served() as (method, _, _):
            async with exchange(method, self.config(), *requests) as stream:
                await self.refuses(stream, "text.text", problem)
            async with exchange(method, self.config(), text(self.other_sentence), END) as stream:
                await stream.until("segment_finished")

    @pytest.mark.parametrize(
        ("field", "value", "problem"),
        [
            ("speaking_rate", 0.2, "0.25"),
            ("speaking_rate", 4.5, "4"),
            ("speaking_rate", float("nan"), "nan"),
            ("language_code", "tlh", "not supported"),
            ("language_code", "xx-XX", "no language tag"),
            ("language_code", "../../etc", "no language tag"),
            ("instruction", "x" * 1_001, "1000 characters"),
            ("instruction", "<|im_end|>", "control token"),
            ("audio_format", common_pb2.AudioFormat(), "must be set"),
        ],
    )
    async def test_a_config_outside_the_limits_is_refused(self, field: str, value: object, problem: str) -> None:
        async with self.served() as (method, _, _), exchange(method, self.config(**{field: value})) as stream:
            await self.refuses(stream, f"config.{field}", problem)

    @pytest.mark.parametrize(("seconds", "extra"), [(0.5, 0), (31.0, 0), (2.0, 1), (0.0, 0)])
    async def test_a_voice_reference_that_is_no_recording_is_refused(self, seconds: float, extra: int) -> None:
        audio = bytes(round(seconds * 8000) * 2 + extra)
        reference = tts_pb2.VoiceReference(audio_format=AudioFormat(Encoding.S16LE, 8000).to_proto(), audio=audio)
        async with self.served() as (method, _, _), exchange(method, self.config(voice_reference=reference)) as stream:
            await self.refuses(stream, "config.voice_reference.audio", "")

    async def test_an_unknown_voice_is_refused_with_the_voices_that_are_here(self) -> None:
        # C9: with as many letters as would make a status too long for its caller.
        async with self.served() as (method, _, _), exchange(method, self.config(voice="ಕ" * 8000)) as stream:
            error = await stream.failure()
            assert error.code() == grpc.StatusCode.NOT_FOUND
            assert self.loaded.info.voices[0].name in str(error.details())
            assert any(isinstance(detail, error_details_pb2.ResourceInfo) for detail in details(error))

    async def test_ssml_is_spoken_with_its_pauses(self) -> None:
        document = f'<speak>{self.other_sentence}<break time="3s"/></speak>'
        responses = await self.spoken(text(document), END, text_format=tts_pb2.SynthesisConfig.TEXT_FORMAT_SSML)
        told = {outcome.field: outcome.detail for outcome in responses[0].ready.options}
        assert "break" in told["config.text_format"]
        assert 3.0 < self.lengths(responses)[0] < 3.0 + 2 * self.most_s
        assert audio_of(responses)[-1].text_end == document.index("</speak>")

    async def test_every_option_has_an_outcome(self) -> None:
        voice = self.loaded.info.voices[0]
        options: dict[str, Any] = {
            "voice": voice.name,
            "language_code": voice.language_codes[0],
            "speaking_rate": 1.2,
            "word_time_offsets": True,
            "instruction": "calmly",
        }
        ready = (await self.spoken(**options))[0].ready
        assert {outcome.field for outcome in ready.options} == {f"config.{name}" for name in options}
        for outcome in ready.options:
            if outcome.outcome != common_pb2.OptionOutcome.OUTCOME_APPLIED:
                assert outcome.detail

    async def test_the_model_is_described(self) -> None:
        settings = self.server_settings()
        service = self.service(settings)
        await service.start()
        info = await service.GetModelInfo(tts_pb2.GetModelInfoRequest(), None)  # pyright: ignore[reportArgumentType] # the context is not used
        await service.stop()
        assert info.model_info.model
        assert info.model_info.engine_version
        assert info.model_info.license
        assert info.sample_rate_hertz == self.loaded.info.sample_rate_hertz
        assert [voice.name for voice in info.voices] == [voice.name for voice in self.loaded.info.voices]

    async def refuses(self, stream: Stream, field: str, problem: str) -> None:
        """Check that the stream ends with INVALID_ARGUMENT that names `field` and `problem`."""
        error = await stream.failure()
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        violations = [violation for detail in details(error) for violation in detail.field_violations]
        assert [violation.field.startswith(field) for violation in violations] == [True]
        assert problem in violations[0].description

    def lengths(self, responses: Sequence[Response]) -> list[float]:
        """Seconds of audio of each finished segment."""
        finished = [r.segment_finished for r in responses if r.HasField("segment_finished")]
        return [seconds_of(segment.audio_duration) for segment in finished]

    async def _speak_twice(self, method: Any, sentence: str) -> list[float]:
        async with exchange(method, self.config(), *[text(sentence), END] * 2) as stream:
            await stream.half_close()
            return self.lengths(await stream.rest())
