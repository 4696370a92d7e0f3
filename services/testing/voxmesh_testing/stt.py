"""What every speech-to-text engine must do, proved on a real server with the real model.

An engine's tests subclass `SttConformance` with the engine's name and two clips of speech.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import grpc
import numpy as np
import pytest
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2

from voxmesh.common.v1 import common_pb2
from voxmesh.stt.v1 import stt_pb2, stt_pb2_grpc
from voxmesh_runtime.audio import AudioFormat, Encoding
from voxmesh_runtime.clock import seconds_of
from voxmesh_stt.engine import Host
from voxmesh_stt.servicer import SttService
from voxmesh_stt.settings import SttSettings
from voxmesh_testing.engines import EngineConformance
from voxmesh_testing.speech import (
    CHUNK_S,
    DISCARD,
    FINALIZE,
    PLAIN,
    RATE_HERTZ,
    Clip,
    Request,
    Response,
    audio,
    finals,
    likeness,
)
from voxmesh_testing.streams import Exchange, details, exchange, serving

SttExchange = Exchange[Request, Response]

LATE_CHUNKS = 60
"""Messages at the end of a clip before which an interim result is there on most machines."""


class SttConformance(EngineConformance):
    """Rules of recognition beside those of every stream."""

    slot = "stt"
    least_likeness: ClassVar[float] = 0.7
    """Share of the clips' words that the model must get right."""

    @abstractmethod
    def clips(self) -> tuple[Clip, Clip]:
        """Two clips of 2 to 5 s that share few words."""

    def server_settings(self, **changes: Any) -> SttSettings:
        return SttSettings(**{**self.settings, **changes})

    def service_of(self, host: Host, settings: SttSettings) -> SttService:
        return SttService(host, settings)

    async def model_info(self, channel: grpc.aio.Channel) -> common_pb2.ModelInfo:
        answer = await stt_pb2_grpc.SpeechToTextServiceStub(channel).GetModelInfo(stt_pb2.GetModelInfoRequest())
        return answer.model_info

    def method(self, channel: grpc.aio.Channel) -> Any:
        return stt_pb2_grpc.SpeechToTextServiceStub(channel).StreamingRecognize

    def config(self, **changes: Any) -> Request:
        fields: dict[str, Any] = {"audio_format": PLAIN.to_proto(), "interim_results": True, **changes}
        return Request(config=stt_pb2.RecognitionConfig(**fields))

    def work(self) -> Sequence[Request]:
        return [*audio(self.clips()[0].samples), FINALIZE]

    def empty(self) -> Request:
        return Request()

    @asynccontextmanager
    async def recognizing(self, **changes: Any) -> AsyncGenerator[SttExchange]:
        """A stream that is ready for audio."""
        async with self.stream(**changes) as (stream, _):
            yield stream

    async def recognized(self, *requests: Request, **changes: Any) -> list[Response]:
        """All answers to messages that are sent at once, followed by half-close."""
        async with self.recognizing(**changes) as stream:
            return await _answers(stream, *requests)

    async def first_clip(self, **changes: Any) -> list[Response]:
        """All answers to the first clip, finalized; recognised once for all tests with the same config."""
        key = "first clip", *sorted(changes.items())
        return await self.once(key, lambda: self.recognized(*audio(self.clips()[0].samples), FINALIZE, **changes))

    async def paced_clip(self) -> list[Response]:
        """All answers to the first clip as from a microphone, the last of it after an interim result; heard once."""
        if not self.loaded.info.streaming:
            pytest.skip("the engine says that it gives final results only")
        return await self.once("paced clip", self._paced)

    async def _paced(self) -> list[Response]:
        *requests, last = audio(self.clips()[0].samples)
        async with self.recognizing() as stream:
            interim = asyncio.create_task(stream.until("result"))
            for left, request in zip(range(len(requests), 0, -1), requests, strict=True):
                await stream.send(request)
                # To an engine that is slow on this machine the end of the clip comes slowly.
                is_late = left < LATE_CHUNKS and not interim.done()
                await asyncio.sleep(0.25 if is_late else CHUNK_S / 2)
            assert interim.done()
            await interim
            return await _answers(stream, last, FINALIZE)

    def assert_heard(self, transcript: str, clip: Clip) -> None:
        """Most words of a clip are in a transcript."""
        assert likeness(transcript, clip.text) >= self.least_likeness, transcript

    async def test_finalize_gives_the_words_and_then_finalized(self) -> None:
        responses = await self.first_clip()
        self.assert_heard(" ".join(result.transcript for result in finals(responses)), self.clips()[0])
        assert responses[-1].HasField("finalized")
        assert responses[-1].finalized.utterance_index == finals(responses)[-1].utterance_index

    async def test_timing_is_in_order(self) -> None:
        responses = await self.first_clip()
        timing = responses[-1].finalized.timing
        stamps = [timing.received_time, timing.started_time, timing.first_output_time, timing.finished_time]
        times = [stamp.ToNanoseconds() for stamp in stamps]
        assert times[0] > 0
        assert times == sorted(times)
        assert timing.batch_size >= 1

    async def test_interim_results_come_while_audio_still_flows(self) -> None:
        results = [response.result for response in await self.paced_clip() if response.HasField("result")]
        assert results[0].transcript
        assert results[0].stable_character_count <= len(results[0].transcript)
        self.assert_heard(results[-1].transcript, self.clips()[0])
        assert [result.is_final for result in results] == [False] * (len(results) - 1) + [True]
        assert len(results) > 1
        assert {result.utterance_index for result in results} == {0}

    async def test_finals_alone_come_when_interim_results_are_not_wanted(self) -> None:
        responses = await self.first_clip(interim_results=False)
        results = [response.result for response in responses if response.HasField("result")]
        assert results
        assert all(result.is_final for result in results)

    async def test_half_close_finalizes(self) -> None:
        clip = self.clips()[0]
        responses = await self.recognized(*audio(clip.samples))
        self.assert_heard(finals(responses)[-1].transcript, clip)
        assert responses[-1].HasField("finalized")

    async def test_utterances_of_one_stream_are_numbered_and_keep_apart(self) -> None:
        first, second = self.clips()
        requests = [*audio(first.samples), FINALIZE, *audio(second.samples), FINALIZE, FINALIZE]
        results = finals(await self.recognized(*requests))
        assert [result.utterance_index for result in results] == [0, 1, 2]
        self.assert_heard(results[0].transcript, first)
        self.assert_heard(results[1].transcript, second)
        assert results[2].transcript == ""

    async def test_offsets_count_from_the_start_of_the_stream(self) -> None:
        first, second = (clip.samples for clip in self.clips())
        results = finals(await self.recognized(*audio(first), FINALIZE, *audio(second), FINALIZE))
        lengths = [len(first) / RATE_HERTZ, (len(first) + len(second)) / RATE_HERTZ]
        assert [seconds_of(result.end_offset) for result in results] == pytest.approx(lengths, abs=0.01)

    async def test_discard_drops_the_utterance_and_its_number(self) -> None:
        first, second = self.clips()
        requests = [*audio(first.samples), DISCARD, *audio(second.samples), FINALIZE]
        responses = await self.recognized(*requests, interim_results=False)
        (result,) = finals(responses)
        self.assert_heard(result.transcript, second)
        assert result.utterance_index == 1
        both_s = (len(first.samples) + len(second.samples)) / RATE_HERTZ
        assert seconds_of(result.end_offset) == pytest.approx(both_s, abs=0.01)
        assert sum(response.HasField("finalized") for response in responses) == 1

    async def test_the_size_of_messages_does_not_change_the_final(self) -> None:
        speech, single = self.clips()[0].samples[:RATE_HERTZ], RATE_HERTZ // 10
        texts: list[str] = []
        for chunk_s in (1 / RATE_HERTZ, 0.02, 1.0):
            requests = [*audio(speech[:single], chunk_s), *audio(speech[single:], max(chunk_s, 0.001))]
            responses = await self.recognized(*requests, FINALIZE, interim_results=False)
            texts.append(finals(responses)[-1].transcript)
        assert texts[0]
        assert texts == [texts[0]] * 3

    @pytest.mark.parametrize(
        "audio_format",
        [
            AudioFormat(Encoding.MULAW, 8000, 1),
            AudioFormat(Encoding.ALAW, 8000, 1),
            AudioFormat(Encoding.S16LE, 48000, 2),
            AudioFormat(Encoding.F32LE, 44100, 1),
        ],
        ids=str,
    )
    async def test_words_are_heard_in_any_format(self, audio_format: AudioFormat) -> None:
        clip = self.clips()[1]
        requests = [*audio(clip.samples, audio_format=audio_format), FINALIZE]
        responses = await self.recognized(*requests, audio_format=audio_format.to_proto())
        self.assert_heard(finals(responses)[-1].transcript, clip)

    @pytest.mark.parametrize("level", [0.0, 0.0005])
    async def test_silence_gives_one_empty_final(self, level: float) -> None:
        noise = np.random.default_rng(seed=1).standard_normal(5 * RATE_HERTZ) * level
        responses = await self.recognized(*audio(noise.astype(np.float32)), FINALIZE)
        assert [result.transcript for result in finals(responses)] == [""]
        assert responses[-1].HasField("finalized")

    async def test_finalize_without_audio_gives_an_empty_final(self) -> None:
        responses = await self.recognized(FINALIZE)
        assert [result.transcript for result in finals(responses)] == [""]
        assert responses[-1].HasField("finalized")

    async def test_two_streams_at_once_do_not_mix(self) -> None:
        clips = self.clips()
        async with self.served() as (method, _, _):

            async def one(clip: Clip) -> list[Response]:
                async with exchange(method, self.config()) as stream:
                    await _send_paced(stream, audio(clip.samples), faster=4)
                    return await _answers(stream, FINALIZE)

            answers = await asyncio.gather(*map(one, clips))
        for clip, responses in zip(clips, answers, strict=True):
            self.assert_heard(finals(responses)[-1].transcript, clip)

    async def test_a_minute_of_audio_at_once_is_all_heard(self) -> None:
        clip = self.clips()[1]
        pause = np.zeros(RATE_HERTZ // 2, np.float32)
        times = 60 * RATE_HERTZ // (len(clip.samples) + len(pause))
        minute = np.concatenate([clip.samples, pause] * times)
        async with (
            self.served(max_pending_audio_s=2.0) as (method, _, _),
            exchange(method, self.config(interim_results=False)) as stream,
        ):
            responses = await _answers(stream, *audio(minute, chunk_s=0.5), FINALIZE)
        everything = Clip(minute, " ".join([clip.text] * times))
        self.assert_heard(" ".join(result.transcript for result in finals(responses)), everything)

    async def test_every_option_is_answered_in_ready(self) -> None:
        biasing = stt_pb2.Biasing(phrases=[stt_pb2.Phrase(text="Dashwood")], context="A novel.")
        known = self.loaded.info.facts.language_codes
        config = self.config(
            language_codes=known[:1] or ("en",),
            word_time_offsets=True,
            biasing=biasing,
            max_latency=duration_pb2.Duration(seconds=1),
        )
        async with self.served() as (method, _, _), exchange(method, config) as stream:
            ready = await stream.until("ready")
        wanted = ["language_codes", "interim_results", "word_time_offsets", "max_latency"]
        wanted += ["biasing.phrases", "biasing.context"]
        fields = {option.field.split("[")[0] for option in ready.options}
        assert fields == {f"config.{name}" for name in wanted}
        plain = common_pb2.OptionOutcome.OUTCOME_APPLIED
        assert all(option.detail for option in ready.options if option.outcome != plain)

    async def test_words_come_when_asked_for_and_only_then(self) -> None:
        plain = finals(await self.first_clip())[-1]
        detailed = finals(await self.first_clip(word_time_offsets=True))[-1]
        assert not plain.words
        assert bool(detailed.words) == self.loaded.info.word_time_offsets
        starts = [seconds_of(word.start_offset) for word in detailed.words]
        assert starts == sorted(starts)

    async def test_model_info_describes_what_ready_names(self) -> None:
        settings = self.server_settings()
        async with serving(self.service(settings), settings) as (channel, _):
            stub = stt_pb2_grpc.SpeechToTextServiceStub(channel)
            async with exchange(self.method(channel), self.config()) as stream:
                ready = await stream.until("ready")
                info = (await stub.GetModelInfo(stt_pb2.GetModelInfoRequest())).model_info
        assert (info.model, info.engine, info.host) == (ready.model, ready.engine, ready.host)
        assert info.license
        assert info.engine_version
        assert (info.active_streams, info.max_streams) == (1, settings.max_streams)

    @pytest.mark.parametrize(
        ("field", "changes"),
        [
            ("config.audio_format.encoding", {"audio_format": {"sample_rate_hertz": 16000}}),
            ("config.audio_format.sample_rate_hertz", {"audio_format": {"encoding": 1}}),
            ("config.language_codes[1]", {"language_codes": ["tlh"]}),
            ("config.biasing.phrases", {"biasing": stt_pb2.Biasing(phrases=[stt_pb2.Phrase(text="a")] * 10_001)}),
            ("config.biasing.phrases[0].text", {"biasing": {"phrases": [{"text": "a" * 101}]}}),
            ("config.biasing.phrases[0].text", {"biasing": {"phrases": [{"text": " "}]}}),
            ("config.biasing.phrases[0].boost", {"biasing": {"phrases": [{"text": "a", "boost": 10.5}]}}),
            ("config.biasing.phrases[0].boost", {"biasing": {"phrases": [{"text": "a", "boost": float("nan")}]}}),
            ("config.biasing.context", {"biasing": {"context": "a" * 8001}}),
            ("config.max_latency", {"max_latency": duration_pb2.Duration(seconds=-1)}),
        ],
    )
    async def test_a_config_outside_the_limits_is_refused_by_field(self, field: str, changes: dict[str, Any]) -> None:
        if "language_codes" in changes:
            known = self.loaded.info.facts.language_codes
            if not known:
                pytest.skip("language does not matter to the engine")
            changes = {"language_codes": [known[0], *changes["language_codes"]]}
        async with self.served() as (method, _, _), exchange(method, self.config(**changes)) as stream:
            _assert_names(await stream.failure(), field)

    async def test_c16_a_language_may_be_written_as_a_locale(self) -> None:
        known = (*self.loaded.info.facts.language_codes, "en")[0]
        config = self.config(language_codes=[f"{known.replace('-', '_')}.UTF-8"])
        async with self.served() as (method, _, _), exchange(method, config) as stream:
            ready = await stream.until("ready")
        assert "config.language_codes" in {option.field for option in ready.options}

    async def test_every_bad_phrase_is_named(self) -> None:
        biasing = {"phrases": [{"text": "a" * 101}, {"text": "fine"}, {"text": "b", "boost": -1}]}
        async with self.served() as (method, _, _), exchange(method, self.config(biasing=biasing)) as stream:
            error = await stream.failure()
        _assert_names(error, "config.biasing.phrases[0].text", "config.biasing.phrases[2].boost")

    async def test_a_thousand_phrases_are_taken_or_told_and_the_words_still_heard(self) -> None:
        clip = self.clips()[0]
        phrases = [stt_pb2.Phrase(text=f"{stem} {number}") for stem in ("Quux", "Zyzzyva") for number in range(500)]
        biasing = stt_pb2.Biasing(phrases=phrases)
        responses = await self.recognized(*audio(clip.samples), FINALIZE, biasing=biasing, interim_results=False)
        self.assert_heard(" ".join(result.transcript for result in finals(responses)), clip)

    async def test_phrases_of_one_stream_do_not_touch_another(self) -> None:
        clip = self.clips()[0]
        requests = [*audio(clip.samples), FINALIZE]
        alone = finals(await self.first_clip(interim_results=False))[-1].transcript
        phrases = [stt_pb2.Phrase(text=word, boost=10) for word in self.clips()[1].text.split()]
        biased = self.config(biasing=stt_pb2.Biasing(phrases=phrases), interim_results=False)
        async with self.served() as (method, _, _), exchange(method, biased) as other:
            await other.until("ready")
            async with exchange(method, self.config(interim_results=False)) as stream:
                answers = await asyncio.gather(_answers(other, *requests), _answers(stream, *requests))
        assert finals(answers[1])[-1].transcript == alone

    async def test_interim_results_keep_what_they_promise(self) -> None:
        promised = ""
        for result in (response.result for response in await self.paced_clip() if response.HasField("result")):
            if not result.is_final:
                assert result.transcript.startswith(promised)
                promised = result.transcript[: result.stable_character_count]

    @pytest.mark.parametrize(
        ("encoding", "data"),
        [
            (Encoding.S16LE, b""),
            (Encoding.S16LE, b"\0\0\0"),
            (Encoding.S16LE, bytes(65 * 1024)),
            (Encoding.F32LE, np.array([0, np.nan], "<f4").tobytes()),
            (Encoding.F32LE, np.array([np.inf], "<f4").tobytes()),
        ],
        ids=["empty", "odd length", "too long", "NaN", "infinite"],
    )
    async def test_what_is_no_audio_is_refused_and_neighbours_go_on(self, encoding: Encoding, data: bytes) -> None:
        clip = self.clips()[0]
        config = self.config(audio_format=AudioFormat(encoding, RATE_HERTZ).to_proto())
        async with (
            self.served() as (method, _, _),
            exchange(method, self.config()) as neighbour,
            exchange(method, config) as stream,
        ):
            await neighbour.send(*audio(clip.samples))
            await stream.until("ready")
            await stream.send(Request(audio=data))
            _assert_names(await stream.failure(), "audio")
            responses = await _answers(neighbour, FINALIZE)
        self.assert_heard(finals(responses)[-1].transcript, clip)


async def _answers(stream: SttExchange, *requests: Request) -> list[Response]:
    """Send, half-close and read to the end; reading goes on meanwhile, as back-pressure demands."""

    async def send() -> None:
        await stream.send(*requests)
        await stream.half_close()

    _, responses = await asyncio.gather(send(), stream.rest())
    return responses


async def _send_paced(stream: SttExchange, requests: Sequence[Request], *, faster: float) -> None:
    """Send messages of `CHUNK_S` as a microphone would, `faster` times as fast."""
    for request in requests:
        await stream.send(request)
        await asyncio.sleep(CHUNK_S / faster)


def _assert_names(error: grpc.aio.AioRpcError, *fields: str) -> None:
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    violations = [
        violation
        for detail in details(error)
        if isinstance(detail, error_details_pb2.BadRequest)
        for violation in detail.field_violations
    ]
    assert [violation.field for violation in violations] == list(fields)
    assert all(violation.description for violation in violations)
