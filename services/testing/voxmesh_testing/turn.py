"""What every turn detection engine must do, on a real server with the real models.

Speech is one sentence of 2.4 s at 16 kHz without silence around it, "Can you tell me what the
weather is like in Paris today?", made with the hibari engine's voice (Apache-2.0).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from importlib.resources import as_file, files
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import duration_pb2

from voxmesh.common.v1 import common_pb2
from voxmesh.turn.v1 import turn_pb2, turn_pb2_grpc
from voxmesh_runtime.audio import AudioFormat, Encoder, Encoding, Resampler, Samples, read_audio_file
from voxmesh_runtime.clock import duration, seconds_of
from voxmesh_testing.engines import EngineConformance
from voxmesh_testing.service import FREED_WITHIN_S
from voxmesh_testing.streams import details, exchange, serving, wait_until
from voxmesh_turn.engine import Host
from voxmesh_turn.pause import Request
from voxmesh_turn.servicer import TurnService
from voxmesh_turn.settings import TurnSettings

RATE = 16000
PLAIN = AudioFormat(Encoding.S16LE, RATE)
TOLERANCE_S = 0.15

NO_RATE = common_pb2.AudioFormat(encoding=common_pb2.AudioFormat.ENCODING_PCM_S16LE)

FORMATS = {
    "mu-law 8 kHz": AudioFormat(Encoding.MULAW, 8000),
    "A-law 8 kHz": AudioFormat(Encoding.ALAW, 8000),
    "16 bit 16 kHz": PLAIN,
    "float 44.1 kHz": AudioFormat(Encoding.F32LE, 44100),
    "16 bit 48 kHz stereo": AudioFormat(Encoding.S16LE, 48000, 2),
}


def silence(seconds: float) -> Samples:
    """Digital silence."""
    return np.zeros(round(seconds * RATE), np.float32)


def speech() -> Samples:
    """The sentence."""
    with as_file(files("voxmesh_testing") / "sentence.flac") as path:
        return read_audio_file(path)[0]


def unfinished() -> Samples:
    """The sentence, cut off in its middle."""
    sentence = speech()
    return sentence[: round(len(sentence) * 0.6)]


def encoded(samples: Samples, audio_format: AudioFormat = PLAIN) -> bytes:
    """Samples at 16 kHz in another format."""
    resampler = Resampler(RATE, audio_format.sample_rate_hertz)
    return Encoder(audio_format).encode(np.concatenate([resampler.process(samples), resampler.flush()]))


def messages(
    samples: Samples, audio_format: AudioFormat = PLAIN, chunk_s: float = 0.02, chunk_frames: int | None = None
) -> Iterator[Request]:
    """Audio messages of `chunk_s`, or of `chunk_frames` samples."""
    frames = chunk_frames or round(chunk_s * audio_format.sample_rate_hertz)
    step = frames * audio_format.bytes_per_frame
    data = encoded(samples, audio_format)
    for begin in range(0, len(data), step):
        yield Request(audio=data[begin : begin + step])


def offsets(responses: Sequence[Any], kind: str) -> list[float]:
    """Seconds of all `speech_started` or `speech_stopped`."""
    return [seconds_of(getattr(response, kind)) for response in responses if response.HasField(kind)]


def verdicts(responses: Sequence[Any]) -> list[turn_pb2.EndOfTurn]:
    """All judgements."""
    return [response.end_of_turn for response in responses if response.HasField("end_of_turn")]


class TurnConformance(EngineConformance):
    """Rules of detection beside those of every stream."""

    slot = "turn"

    def server_settings(self, **changes: Any) -> TurnSettings:
        return TurnSettings(**{**self.settings, **changes})

    def service_of(self, host: Host, settings: TurnSettings) -> TurnService:
        return TurnService(host, settings)

    async def model_info(self, channel: grpc.aio.Channel) -> common_pb2.ModelInfo:
        answer = await turn_pb2_grpc.TurnDetectionServiceStub(channel).GetModelInfo(turn_pb2.GetModelInfoRequest())
        return answer.model_info

    def method(self, channel: grpc.aio.Channel) -> Any:
        return turn_pb2_grpc.TurnDetectionServiceStub(channel).StreamingDetect

    def config(self, **changes: Any) -> Request:
        fields: dict[str, Any] = {"audio_format": PLAIN.to_proto(), **changes}
        return Request(config=turn_pb2.TurnDetectionConfig(**fields))

    def work(self) -> Sequence[Request]:
        return list(messages(np.concatenate([speech(), silence(0.5)]), chunk_s=0.1))

    def empty(self) -> Request:
        return Request()

    async def heard(self, *parts: Samples, chunk_s: float = 0.02, **changes: Any) -> list[Any]:
        """Every answer to a stream of these parts of audio."""
        async with self.stream(**changes) as (stream, _):
            await stream.send(*messages(np.concatenate(parts), chunk_s=chunk_s))
            await stream.half_close()
            return await stream.rest()

    # The contract's config names no model: one service, one pair of models.
    test_a_model_that_is_not_loaded_is_refused = None  # pyright: ignore[reportAssignmentType] # takes the test away

    async def test_a_message_over_the_limit_is_refused_and_the_process_goes_on(self) -> None:
        async with self.served() as (method, _, _):
            async with exchange(method, self.config()) as stream:
                await stream.until("ready")
                await stream.send(Request(audio=bytes(8 * 1024 * 1024)))
                assert (await stream.failure()).code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            async with exchange(method, self.config()) as stream:
                await stream.until("ready")

    @pytest.mark.parametrize("name", FORMATS)
    async def test_speech_starts_and_stops_where_it_does_in_every_format(self, name: str) -> None:
        audio_format, sentence = FORMATS[name], speech()
        async with self.stream(audio_format=audio_format.to_proto()) as (stream, _):
            await stream.send(*messages(np.concatenate([silence(1), sentence, silence(1)]), audio_format))
            await stream.half_close()
            responses = await stream.rest()
        assert offsets(responses, "speech_started") == pytest.approx([1.0], abs=TOLERANCE_S)
        assert offsets(responses, "speech_stopped") == pytest.approx([1.0 + len(sentence) / RATE], abs=TOLERANCE_S)

    @pytest.mark.parametrize("chunk_s", [0.001, 0.032, 0.05, 1.0])
    async def test_the_length_of_messages_does_not_matter(self, chunk_s: float) -> None:
        parts = (silence(0.5), speech(), silence(0.5))
        usual, other = await self.heard(*parts), await self.heard(*parts, chunk_s=chunk_s)
        for kind in ("speech_started", "speech_stopped"):
            assert offsets(other, kind) == offsets(usual, kind) != []
        assert verdicts(other)[0].probability == pytest.approx(verdicts(usual)[0].probability, abs=1e-3)

    async def test_messages_of_one_sample_are_audio_too(self) -> None:
        sentence = speech()
        async with self.stream() as (stream, _):
            await stream.send(*messages(silence(0.48)))
            await stream.send(*messages(silence(0.02), chunk_frames=1))
            await stream.send(*messages(sentence[:1600], chunk_frames=1))
            await stream.send(*messages(sentence[1600:]))
            started = await stream.until("speech_started")
        assert seconds_of(started) == pytest.approx(0.5, abs=TOLERANCE_S)

    @pytest.mark.parametrize("level", [0.0, 0.0003, 0.003, 0.03, 0.3])
    async def test_silence_and_noise_are_no_speech(self, level: float) -> None:
        noise = np.random.default_rng(7).standard_normal(5 * RATE).astype(np.float32) * np.float32(level)
        responses = await self.heard(np.clip(noise, -1, 1), chunk_s=0.1)
        assert [response.WhichOneof("streaming_response") for response in responses] == ["ready"]

    async def test_clicks_are_no_speech(self) -> None:
        clicks = silence(5)
        clicks[::4000] = 1.0
        responses = await self.heard(clicks, chunk_s=0.1)
        assert len(responses) == 1

    async def test_quiet_speech_is_heard(self) -> None:
        # 40 dB below speech into a microphone; Silero itself needs 0.3 s of it.
        responses = await self.heard(silence(0.5), speech() * np.float32(0.01), silence(0.5))
        assert len(offsets(responses, "speech_started")) == 1
        assert offsets(responses, "speech_stopped") == pytest.approx([2.932], abs=2 * TOLERANCE_S)

    async def test_events_come_in_the_order_of_the_audio(self) -> None:
        parts = (silence(0.5), speech(), silence(1), unfinished(), silence(1))
        async with self.stream() as (stream, _):
            # At the pace of speech, since a judgement is dropped when speech has gone on before it is there.
            for part in (np.concatenate(parts[:3]), np.concatenate(parts[3:])):
                await stream.send(*messages(part))
                await stream.until("end_of_turn")
            await stream.half_close()
            kinds = [response.WhichOneof("streaming_response") for response in await stream.rest()]
            responses = stream.seen
        once = [kind for index, kind in enumerate(kinds) if kind != "end_of_turn" or kinds[index - 1] != kind]
        assert once == ["ready", *["speech_started", "speech_stopped", "end_of_turn"] * 2]
        started, stopped = offsets(responses, "speech_started"), offsets(responses, "speech_stopped")
        assert started[0] < stopped[0] < started[1] < stopped[1]

    async def test_a_finished_sentence_is_told_from_the_same_cut_off(self) -> None:
        whole = verdicts(await self.heard(silence(0.5), speech(), silence(0.5)))[0]
        cut = verdicts(await self.heard(silence(0.5), unfinished(), silence(0.5)))[0]
        assert whole.probability > 0.7
        assert cut.probability < 0.3

    async def test_a_judgement_is_repeated_while_silence_grows(self) -> None:
        async with self.stream() as (stream, _):
            await stream.send(*messages(np.concatenate([silence(0.2), speech(), silence(0.3)])))
            first = await stream.until("end_of_turn")
            await stream.send(*messages(silence(1.5)))
            await stream.half_close()
            told = verdicts(await stream.rest())
        lengths = [seconds_of(verdict.silence_duration) for verdict in told]
        assert 3 <= len(told) <= 12
        assert lengths == sorted(set(lengths))
        assert 0.15 <= lengths[0] <= 0.45
        assert lengths[-1] >= 1.5
        assert {verdict.probability for verdict in told} == {first.probability}

    async def test_a_judgement_tells_when_it_passed_through_the_service(self) -> None:
        timing = verdicts(await self.heard(silence(0.2), speech(), silence(0.5)))[0].timing
        stamps = [timing.received_time, timing.started_time, timing.first_output_time, timing.finished_time]
        times = [seconds_of(stamp) for stamp in stamps]
        assert times == sorted(times)
        assert seconds_of(timing.compute_duration) > 0
        assert timing.batch_size >= 1

    async def test_a_new_turn_ends_the_pause_and_offsets_go_on(self) -> None:
        sentence = speech()
        async with self.stream() as (stream, _):
            await stream.send(*messages(np.concatenate([silence(0.5), sentence, silence(0.5)])))
            await stream.until("end_of_turn")
            await stream.send(Request(new_turn=turn_pb2.NewTurn()))
            told = len(verdicts(stream.seen))
            await stream.send(*messages(silence(2), chunk_s=0.1))
            await stream.send(*messages(sentence))
            started = await stream.until("speech_started")
            # What was on its way when the new turn was asked for may still come, nothing more.
            assert len(verdicts(stream.seen)) <= told + 2
        assert seconds_of(started) == pytest.approx(3.0 + len(sentence) / RATE, abs=TOLERANCE_S)

    async def test_a_verdict_is_on_the_new_turn_alone(self) -> None:
        alone = verdicts(await self.heard(silence(0.512), unfinished(), silence(0.512)))[0]
        async with self.stream() as (stream, _):
            await stream.send(*messages(np.concatenate([silence(0.512), speech(), silence(0.512)])))
            await stream.until("end_of_turn")
            await stream.send(Request(new_turn=turn_pb2.NewTurn()))
            await stream.send(*messages(np.concatenate([silence(0.512), unfinished(), silence(0.512)])))
            await stream.until("speech_stopped")
            after = await stream.until("end_of_turn")
        assert after.probability == pytest.approx(alone.probability, abs=0.1)

    async def test_the_callers_options_are_acknowledged_and_kept(self) -> None:
        changes: dict[str, Any] = {
            "activation_threshold": 0.6,
            "min_speech_duration": duration(0.2),
            "min_silence_duration": duration(0.8),
        }
        parts = (silence(0.5), speech(), silence(0.6))
        responses = await self.heard(*parts, **changes)
        assert {option.field for option in responses[0].ready.options} == {f"config.{name}" for name in changes}
        assert offsets(responses, "speech_started")
        assert not offsets(responses, "speech_stopped")
        assert offsets(await self.heard(*parts, silence(0.6), **changes), "speech_stopped")

    async def test_speech_shorter_than_asked_for_does_not_count(self) -> None:
        responses = await self.heard(silence(0.5), speech(), silence(0.5), min_speech_duration=duration(5))
        assert len(responses) == 1

    async def test_two_streams_at_once_do_not_mix(self) -> None:
        parts = (silence(0.5), speech(), silence(0.5))
        quiet = silence(sum(map(len, parts)) / RATE)
        async with (
            self.served() as (method, _, _),
            exchange(method, self.config()) as one,
            exchange(method, self.config()) as other,
        ):
            for loud, still in zip(messages(np.concatenate(parts)), messages(quiet), strict=True):
                await asyncio.gather(one.send(loud), other.send(still))
            await asyncio.gather(one.half_close(), other.half_close())
            heard, unheard = await asyncio.gather(one.rest(), other.rest())
        assert len(offsets(heard, "speech_started")) == len(offsets(heard, "speech_stopped")) == 1
        assert len(unheard) == 1

    async def test_half_close_in_mid_speech_ends_well(self) -> None:
        responses = await self.heard(silence(0.5), speech()[:RATE])
        assert offsets(responses, "speech_started")
        assert not verdicts(responses)

    async def test_a_judgement_under_way_at_half_close_is_still_told(self) -> None:
        async with self.stream() as (stream, _):
            await stream.send(*messages(np.concatenate([silence(0.2), speech(), silence(0.3)]), chunk_s=1.0))
            await stream.half_close()
            assert len(verdicts(await stream.rest())) == 1

    async def test_a_client_that_vanishes_in_mid_judgement_leaves_the_others_alone(self) -> None:
        async with (
            self.served() as (method, _, service),
            exchange(method, self.config()) as lost,
            exchange(method, self.config()) as other,
        ):
            await lost.send(*self.work())
            await lost.until("speech_stopped")
            lost.call.cancel()
            await wait_until(lambda: service.streams.active_count <= 1, FREED_WITHIN_S)
            await other.send(*self.work())
            assert (await other.until("end_of_turn")).probability > 0.5

    @pytest.mark.parametrize(
        ("field", "changes"),
        [
            ("config.audio_format.encoding", {"audio_format": None}),
            ("config.audio_format.encoding", {"audio_format": common_pb2.AudioFormat(sample_rate_hertz=RATE)}),
            ("config.audio_format.sample_rate_hertz", {"audio_format": NO_RATE}),
            ("config.audio_format.channel_count", {"audio_format": AudioFormat(channel_count=9).to_proto()}),
            ("config.activation_threshold", {"activation_threshold": 0.0}),
            ("config.activation_threshold", {"activation_threshold": 1.0}),
            ("config.activation_threshold", {"activation_threshold": -1.0}),
            ("config.activation_threshold", {"activation_threshold": math.nan}),
            ("config.min_speech_duration", {"min_speech_duration": duration(-0.1)}),
            ("config.min_speech_duration", {"min_speech_duration": duration(10.1)}),
            ("config.min_silence_duration", {"min_silence_duration": duration(-1)}),
            ("config.min_silence_duration", {"min_silence_duration": duration_pb2.Duration(seconds=11)}),
        ],
    )
    async def test_a_config_outside_the_limits_is_refused_by_name(self, field: str, changes: dict[str, Any]) -> None:
        async with self.served() as (method, _, _), exchange(method, self.config(**changes)) as stream:
            assert_refused(await stream.failure(), field)

    @pytest.mark.parametrize(
        ("encoding", "data"),
        [
            (Encoding.S16LE, b""),
            (Encoding.S16LE, b"odd"),
            (Encoding.S16LE, bytes(64 * 1024 + 2)),
            (Encoding.F32LE, np.full(320, np.nan, np.float32).tobytes()),
            (Encoding.F32LE, np.full(320, np.inf, np.float32).tobytes()),
        ],
        ids=["empty", "odd", "too long", "not a number", "infinite"],
    )
    async def test_what_is_no_audio_is_refused_and_neighbours_go_on(self, encoding: Encoding, data: bytes) -> None:
        audio_format = AudioFormat(encoding, RATE).to_proto()
        async with self.served() as (method, _, _), exchange(method, self.config()) as neighbour:
            await neighbour.until("ready")
            async with exchange(method, self.config(audio_format=audio_format), Request(audio=data)) as stream:
                assert_refused(await stream.failure(), "audio")
            await neighbour.send(*self.work())
            await neighbour.until("end_of_turn")

    async def test_a_transcript_over_the_limit_is_refused(self) -> None:
        long = Request(transcript=turn_pb2.Transcript(text="a" * 20_001))
        async with self.served() as (method, _, _), exchange(method, self.config(transcripts=True), long) as stream:
            assert_refused(await stream.failure(), "transcript.text")

    async def test_transcripts_are_taken_by_every_engine_and_it_says_whether_it_heeds_them(self) -> None:
        words = Request(transcript=turn_pb2.Transcript(text="Can you tell me"))
        async with self.served() as (method, _, _), exchange(method, self.config(transcripts=True)) as stream:
            ready = await stream.until("ready")
            await stream.send(words, *self.work())
            await stream.until("end_of_turn")
        assert "config.transcripts" in {option.field for option in ready.options}

    async def test_extreme_samples_are_harmless(self) -> None:
        extreme = np.tile(np.array([1.0, -1.0], np.float32), RATE)
        responses = await self.heard(extreme, silence(0.5), speech(), silence(0.5))
        assert verdicts(responses)

    async def test_the_model_is_described(self) -> None:
        settings = self.server_settings()
        service = self.service(settings)
        async with serving(service, settings) as (channel, _):
            stub = turn_pb2_grpc.TurnDetectionServiceStub(channel)
            answer = await stub.GetModelInfo(turn_pb2.GetModelInfoRequest())
        assert answer.model_info.model
        assert answer.model_info.engine
        assert answer.model_info.license
        assert answer.model_info.max_streams == settings.max_streams


def assert_refused(error: grpc.aio.AioRpcError, field: str) -> None:
    """The error names the field, in words and in its details."""
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert str(error.details()).startswith(f"{field}: ")
    assert [violation.field for detail in details(error) for violation in detail.field_violations] == [field]
