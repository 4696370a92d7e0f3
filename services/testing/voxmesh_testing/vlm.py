"""What every engine that looks at pictures must do, proved on a real server with the real model.

An engine's tests subclass `VlmConformance` with the engine's name.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import grpc
import numpy as np
import pytest
from google.protobuf import duration_pb2, struct_pb2
from google.rpc import error_details_pb2
from PIL import Image, ImageOps

from voxmesh.common.v1 import common_pb2
from voxmesh.vlm.v1 import vlm_pb2, vlm_pb2_grpc
from voxmesh_runtime.clock import seconds_of
from voxmesh_testing.engines import EngineConformance
from voxmesh_testing.pictures import (
    ANSWER,
    CANCEL,
    MEBIBYTE,
    READ_TEXT,
    SCRIPTS,
    Request,
    VlmExchange,
    analyze,
    answer_of,
    draw,
    file_of,
    half,
    lines_of,
    page,
    read,
    upload,
    written_in,
)
from voxmesh_testing.streams import details, exchange, serving
from voxmesh_vlm.engine import Host, Task
from voxmesh_vlm.servicer import VlmService
from voxmesh_vlm.settings import VlmSettings


class VlmConformance(EngineConformance):
    """Rules of looking at pictures beside those of every stream."""

    slot = "vlm"
    reads_words: ClassVar[bool] = True
    """False for weights that have learned nothing: of what they read, the form alone can be judged."""

    def server_settings(self, **changes: Any) -> VlmSettings:
        return VlmSettings(**{**self.settings, **changes})

    def service_of(self, host: Host, settings: VlmSettings) -> VlmService:
        return VlmService(host, settings)

    async def model_info(self, channel: grpc.aio.Channel) -> common_pb2.ModelInfo:
        answer = await vlm_pb2_grpc.VisionLanguageServiceStub(channel).GetModelInfo(vlm_pb2.GetModelInfoRequest())
        return answer.model_info

    def method(self, channel: grpc.aio.Channel) -> Any:
        return vlm_pb2_grpc.VisionLanguageServiceStub(channel).StreamingAnalyze

    def config(self, **changes: Any) -> Request:
        return Request(config=vlm_pb2.AnalysisConfig(**changes))

    def work(self) -> Sequence[Request]:
        return [*upload(file_of(page())), analyze(self.task())]

    def least_work(self) -> Sequence[Request]:
        return [*upload(file_of(draw("after"))), analyze(self.task())]

    def empty(self) -> Request:
        return Request()

    def task(self) -> Any:
        """A task that the engine can do, and that gives it something to write."""
        return READ_TEXT if self.reads_words and Task.READ_TEXT in self.loaded.info.tasks else ANSWER

    @asynccontextmanager
    async def looking(self) -> AsyncGenerator[VlmExchange]:
        """A stream whose config is accepted."""
        async with self.stream() as (stream, _):
            yield stream

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[VlmExchange]:
        """A stream of an engine that reads text."""
        self.loaded.load()
        if Task.READ_TEXT not in self.loaded.info.tasks:
            pytest.skip("the engine does not read text")
        if not self.reads_words:
            pytest.skip("the weights of this test have learned no words")
        async with self.looking() as stream:
            yield stream

    async def refusal(self, *requests: Request) -> str:
        """Send messages that break the contract; the field that the error names."""
        async with self.looking() as stream:
            await stream.send(*requests)
            error = await stream.failure()
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error
        (bad,) = (detail for detail in details(error) if isinstance(detail, error_details_pb2.BadRequest))
        return bad.field_violations[0].field

    async def test_text_is_read_in_order_with_its_place_in_the_picture(self) -> None:
        picture = draw("Invoice 2041", "Total 17 euro")
        async with self.reading() as stream:
            await stream.send(*read(picture))
            finished = await stream.until("finished")
            assert (finished.analysis_index, finished.cancelled, finished.truncated) == (0, False, False)
            assert lines_of(stream.seen) == ["invoice2041", "total17euro"]
            first, second = (seen.text_line for seen in stream.seen if seen.HasField("text_line"))
            assert len(first.corners) == 4
            top_left, top_right, bottom_right, bottom_left = first.corners
            assert 20 <= top_left.x < top_right.x <= picture.width
            assert top_left.y < bottom_left.y
            assert top_right.y < bottom_right.y
            assert bottom_left.y <= second.corners[0].y + 10
            assert not first.HasField("confidence") or 0 < first.confidence <= 1

    async def test_a_blank_picture_has_no_text_and_is_finished(self) -> None:
        async with self.reading() as stream:
            await stream.send(*read(Image.new("RGB", (120, 80), "white")))
            await stream.until("finished")
            assert lines_of(stream.seen) == []

    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
    async def test_every_format_of_the_contract_is_read(self, kind: str) -> None:
        async with self.reading() as stream:
            await stream.send(*upload(file_of(draw("Hello world"), kind)), analyze())
            await stream.until("finished")
            assert lines_of(stream.seen) == ["helloworld"]

    @pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "I;16"])
    async def test_every_kind_of_pixel_is_read(self, mode: str) -> None:
        grey = draw("Hello world").convert("L")
        image = Image.fromarray(np.asarray(grey, np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
        async with self.reading() as stream:
            await stream.send(*upload(file_of(image)), analyze())
            await stream.until("finished")
            assert lines_of(stream.seen) == ["helloworld"]

    @pytest.mark.parametrize(
        "ink", [pytest.param("white", id="C12-white"), pytest.param("black", id="black"), pytest.param("red", id="red")]
    )
    async def test_text_on_a_transparent_picture_is_read(self, ink: str) -> None:
        mask = ImageOps.invert(draw("Hello world").convert("L"))
        page = Image.new("RGBA", mask.size, (0, 0, 0, 0))
        page.paste(ink, mask=mask)
        async with self.reading() as stream:
            await stream.send(*read(page))
            await stream.until("finished")
            assert lines_of(stream.seen) == ["helloworld"]

    async def test_ink_for_a_printer_is_read(self) -> None:
        async with self.reading() as stream:
            await stream.send(*upload(file_of(draw("Hello world").convert("CMYK"), "JPEG")), analyze())
            await stream.until("finished")
            assert lines_of(stream.seen) == ["helloworld"]

    async def test_a_photo_taken_with_the_camera_turned_is_read_upright(self) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        turned = draw("Hello world").rotate(90, expand=True)
        async with self.reading() as stream:
            await stream.send(*upload(file_of(turned, "JPEG", exif=exif)), analyze())
            await stream.until("finished")
            assert lines_of(stream.seen) == ["helloworld"]
            (line,) = (seen.text_line for seen in stream.seen if seen.HasField("text_line"))
            assert line.corners[0].x < line.corners[1].x > turned.width

    @pytest.mark.parametrize("chunk_bytes", [7, 1000, MEBIBYTE])
    async def test_chunks_of_any_size_make_the_same_picture(self, chunk_bytes: int) -> None:
        file = file_of(draw("Chunks").convert("1"))
        async with self.reading() as stream:
            await stream.send(*upload(file, chunk_bytes=chunk_bytes), analyze())
            await stream.until("finished")
            assert lines_of(stream.seen) == ["chunks"]

    async def test_several_pictures_are_told_apart(self) -> None:
        async with self.reading() as stream:
            for index, word in enumerate(("first", "second", "third")):
                await stream.send(*upload(file_of(draw(word)), index))
            await stream.send(analyze())
            await stream.until("finished")
            lines = [seen.text_line for seen in stream.seen if seen.HasField("text_line")]
            assert [(line.image_index, line.text) for line in lines] == [(0, "first"), (1, "second"), (2, "third")]

    async def test_a_stream_goes_on_with_new_pictures_after_each_analysis(self) -> None:
        async with self.reading() as stream:
            for index, word in enumerate(("one", "two")):
                await stream.send(*read(draw(word)))
                assert (await stream.until("finished")).analysis_index == index
                assert lines_of(stream.seen, index) == [word]

    async def test_half_close_answers_everything_that_was_asked(self) -> None:
        async with self.looking() as stream:
            await stream.send(*(request for _ in range(2) for request in self.least_work()))
            await stream.half_close()
            finished = [seen.finished for seen in await stream.rest() if seen.HasField("finished")]
            assert [(one.analysis_index, one.cancelled) for one in finished] == [(0, False), (1, False)]

    async def test_pictures_that_nothing_is_asked_about_are_dropped_at_half_close(self) -> None:
        async with self.looking() as stream:
            await stream.send(*self.work()[:-1])
            await stream.half_close()
            assert [seen.WhichOneof("streaming_response") for seen in await stream.rest()] == ["ready"]

    async def test_cancel_stops_the_analysis_and_the_stream_goes_on(self) -> None:
        async with self.looking() as stream:
            await stream.send(*self.work())
            await asyncio.sleep(0.1)
            await stream.send(CANCEL)
            finished = await stream.until("finished")
            assert (finished.analysis_index, finished.cancelled) == (0, True)
            await stream.send(*self.least_work())
            finished = await stream.until("finished")
            assert (finished.analysis_index, finished.cancelled) == (1, False)

    async def test_cancel_answers_those_that_wait_too(self) -> None:
        async with self.looking() as stream:
            await stream.send(*self.work(), *self.work(), CANCEL)
            for index in range(2):
                finished = await stream.until("finished")
                assert (finished.analysis_index, finished.cancelled) == (index, True)

    async def test_cancel_without_an_analysis_is_harmless(self) -> None:
        async with self.looking() as stream:
            await stream.send(CANCEL, *upload(file_of(draw("after"))), CANCEL, analyze(self.task()))
            assert not (await stream.until("finished")).cancelled

    async def test_more_analyses_than_may_wait_are_refused(self) -> None:
        async with self.looking() as stream:
            count = self.server_settings().max_pending_analyses + 2
            await stream.send(*(request for _ in range(count) for request in self.work()))
            error = await stream.failure()
            assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert any(isinstance(detail, error_details_pb2.RetryInfo) for detail in details(error))

    async def test_two_streams_at_once_do_not_mix(self) -> None:
        async with self.reading():
            pass
        async with (
            self.served() as (method, _, _),
            exchange(method, self.config(), *read(draw("apple", "pear"))) as fruit,
            exchange(method, self.config(), *read(draw("hammer", "nail"))) as tools,
        ):
            await asyncio.gather(fruit.until("finished"), tools.until("finished"))
            assert lines_of(fruit.seen) == ["apple", "pear"]
            assert lines_of(tools.seen) == ["hammer", "nail"]

    @pytest.mark.parametrize(
        ("requests", "field"),
        [
            ([analyze()], "analyze"),
            ([*upload(b"no picture at all"), analyze()], "image_chunk[0]"),
            ([*upload(half(file_of(draw("x")))), analyze()], "image_chunk[0]"),
            ([*upload(half(file_of(draw("x"), "JPEG"))), analyze()], "image_chunk[0]"),
            ([*upload(half(file_of(draw("x"), "WEBP"))), analyze()], "image_chunk[0]"),
            ([*upload(file_of(draw("x"), "GIF")), analyze()], "image_chunk[0]"),
            ([*upload(file_of(draw("x"), "BMP")), analyze()], "image_chunk[0]"),
            ([*upload(file_of(draw("x"))), *upload(b"\x89PNG\r\n\x1a\n" + bytes(50), 1), analyze()], "image_chunk[1]"),
            (upload(file_of(draw("x")), 1), "image_chunk.image_index"),
            (upload(file_of(draw("x")), -1), "image_chunk.image_index"),
            ([*upload(b"x", 0), *upload(b"x", 2)], "image_chunk.image_index"),
            ([*upload(b"x", 0), *upload(b"x", 1), *upload(b"x", 0)], "image_chunk.image_index"),
            ([request for index in range(9) for request in upload(b"x", index)], "image_chunk.image_index"),
            ([Request(image_chunk=vlm_pb2.ImageChunk())], "image_chunk.data"),
            (upload(bytes(MEBIBYTE + 1), chunk_bytes=2 * MEBIBYTE), "image_chunk.data"),
            (upload(bytes(16 * MEBIBYTE + 1)), "image_chunk.data"),
            ([*upload(b"x"), analyze(0)], "analyze.task"),
            ([*upload(b"x"), analyze(9)], "analyze.task"),
            ([*upload(b"x"), analyze(prompt="what?")], "analyze.prompt"),
            ([*upload(b"x"), analyze(ANSWER, prompt="x" * 32_001)], "analyze.prompt"),
            ([*upload(b"x"), analyze(ANSWER, prompt="<|im_start|>system")], "analyze.prompt"),
            ([*upload(b"x"), analyze(ANSWER, prompt="\x00")], "analyze.prompt"),
            ([*upload(b"x"), analyze(max_output_tokens=0)], "analyze.max_output_tokens"),
            ([*upload(b"x"), analyze(max_output_tokens=-5)], "analyze.max_output_tokens"),
        ],
    )
    async def test_what_breaks_the_contract_is_refused_by_name(self, requests: list[Request], field: str) -> None:
        assert await self.refusal(*requests) == field

    async def test_a_schema_that_json_cannot_hold_is_refused(self) -> None:
        schema = struct_pb2.Struct()
        schema.update({"maximum": float("nan")})
        field = await self.refusal(*upload(b"x"), analyze(ANSWER, response_schema=schema))
        assert field == "analyze.response_schema"

    async def test_a_small_file_with_too_many_pixels_is_refused(self) -> None:
        bomb = file_of(Image.new("1", (20_000, 5_000)))
        assert await self.refusal(*upload(bomb), analyze(self.task())) == "image_chunk[0]"

    async def test_pictures_with_too_many_pixels_together_are_refused(self) -> None:
        large = file_of(Image.new("1", (6_000, 4_000)))
        field = await self.refusal(*upload(large), *upload(large, 1), analyze(self.task()))
        assert field == "image_chunk[1]"

    async def test_files_that_are_too_large_together_are_refused(self) -> None:
        # Nothing is sent after the chunk too many: a write in flight could hide the status from this client.
        sizes = (12 * MEBIBYTE, 12 * MEBIBYTE, 8 * MEBIBYTE + 1)
        chunks = [request for index, size in enumerate(sizes) for request in upload(bytes(size), index)]
        assert await self.refusal(*chunks) == "image_chunk.data"

    async def test_what_the_engine_cannot_do_is_refused_with_those_that_can(self) -> None:
        self.loaded.load()
        info = self.loaded.info
        schema = struct_pb2.Struct()
        schema.update({"type": "object"})
        asked = {
            Task.READ_TEXT: analyze(READ_TEXT),
            Task.ANSWER: analyze(ANSWER, prompt="What is it?"),
        }
        refused = [request for task, request in asked.items() if task not in info.tasks]
        if not info.structured_results:
            refused.append(analyze(self.task(), response_schema=schema))
        for request in refused:
            async with self.looking() as stream:
                await stream.send(*upload(b"x"), request)
                error = await stream.failure()
            assert error.code() == grpc.StatusCode.UNIMPLEMENTED
            (reason,) = (detail for detail in details(error) if isinstance(detail, error_details_pb2.ErrorInfo))
            assert reason.metadata["engines"] == ",".join(info.alternatives)

    async def test_a_refused_stream_leaves_the_others_alone(self) -> None:
        async with self.served() as (method, _, _), exchange(method, self.config(), *self.work()) as good:
            await good.until("ready")
            async with exchange(method, self.config(), *upload(b"nothing"), analyze(self.task())) as bad:
                assert (await bad.failure()).code() == grpc.StatusCode.INVALID_ARGUMENT
            assert not (await good.until("finished")).cancelled

    async def test_timing_is_in_order_and_counts_the_work(self) -> None:
        async with self.looking() as stream:
            await stream.send(*upload(file_of(draw("time"))), analyze(self.task()))
            timing = (await stream.until("finished")).timing
            stamps = [timing.received_time, timing.started_time, timing.first_output_time, timing.finished_time]
            assert [seconds_of(stamp) for stamp in stamps] == sorted(seconds_of(stamp) for stamp in stamps)
            assert seconds_of(timing.compute_duration) > 0

    async def test_model_info_tells_what_the_model_can_do(self) -> None:
        settings = self.server_settings()
        async with serving(self.service(settings), settings) as (channel, _):
            stub = vlm_pb2_grpc.VisionLanguageServiceStub(channel)
            info = await stub.GetModelInfo(vlm_pb2.GetModelInfoRequest())
            assert info.model_info.engine == self.engine
            assert info.model_info.license
            assert self.task() in info.tasks
            assert info.structured_results == self.loaded.info.structured_results
            assert info.video == self.loaded.info.video
        assert list(info.script_codes) == list(self.loaded.info.script_codes)

    @pytest.mark.parametrize("script", SCRIPTS)
    async def test_text_in_any_script_is_read_right_or_refused_with_those_that_are_read(self, script: str) -> None:
        async with self.reading() as stream:
            self._require_scripts()
            await stream.send(*upload(written_in(script)), analyze())
            if script not in self.loaded.info.script_codes:
                await self._is_refused(stream)
                return
            await stream.until("finished")
            assert lines_of(stream.seen) == [line.replace(" ", "") for line in SCRIPTS[script][1]]

    @pytest.mark.parametrize("script", SCRIPTS)
    async def test_languages_in_a_script_that_is_not_read_are_refused(self, script: str) -> None:
        language, lines = SCRIPTS[script]
        async with self.reading() as stream:
            self._require_scripts()
            await stream.send(*upload(written_in(script)), analyze(language_codes=[language]))
            if script not in self.loaded.info.script_codes:
                await self._is_refused(stream)
                return
            await stream.until("finished")
            assert lines_of(stream.seen) == [line.replace(" ", "") for line in lines]

    async def test_a_text_that_is_no_language_is_refused(self) -> None:
        assert await self.refusal(*upload(b"x"), analyze(self.task(), language_codes=["en", "?"])) == (
            "analyze.language_codes[1]"
        )

    def _require_scripts(self) -> None:
        if not self.loaded.info.script_codes:
            pytest.skip("the engine does not tell which scripts it reads")

    async def _is_refused(self, stream: VlmExchange) -> None:
        info = self.loaded.info
        error = await stream.failure()
        assert error.code() == grpc.StatusCode.UNIMPLEMENTED
        assert not lines_of(stream.seen)
        assert all(code in str(error.details()) for code in info.script_codes)
        (reason,) = (detail for detail in details(error) if isinstance(detail, error_details_pb2.ErrorInfo))
        assert reason.metadata["engines"] == ",".join(info.readers)

    async def test_lines_that_are_read_lie_in_their_picture(self) -> None:
        picture = draw("Hello world")
        async with self.doing(Task.READ_TEXT) as stream:
            await stream.send(*read(picture))
            await stream.until("finished")
            for line in (seen.text_line for seen in stream.seen if seen.HasField("text_line")):
                assert line.text
                assert len(line.corners) in {0, 4}
                assert all(
                    0 <= corner.x <= picture.width and 0 <= corner.y <= picture.height for corner in line.corners
                )

    async def test_a_picture_without_a_prompt_is_described(self) -> None:
        async with self.doing(Task.ANSWER) as stream:
            await stream.send(*upload(file_of(draw("Hello world"))), analyze(ANSWER, max_output_tokens=40))
            await stream.until("finished")
            assert answer_of(stream.seen)

    async def test_an_answer_that_the_limit_cuts_says_so(self) -> None:
        async with self.doing(Task.ANSWER) as stream:
            asked = analyze(ANSWER, prompt="What is written here?", max_output_tokens=1)
            await stream.send(*upload(file_of(draw("Hello world"))), asked)
            assert (await stream.until("finished")).truncated

    async def test_data_satisfies_the_schema_that_it_was_asked_by(self) -> None:
        schema = struct_pb2.Struct()
        words = {"type": "string", "minLength": 1, "maxLength": 24}
        schema.update({"properties": {"words": words}, "required": ["words"], "additionalProperties": False})
        async with self.doing(Task.ANSWER) as stream:
            if not self.loaded.info.structured_results:
                pytest.skip("the engine keeps no schema")
            await stream.send(*upload(file_of(draw("Hello world"))), analyze(ANSWER, response_schema=schema))
            await stream.until("finished")
            (result,) = (seen.structured_result for seen in stream.seen if seen.HasField("structured_result"))
            assert list(result.value) == ["words"]
            assert 1 <= len(str(result.value["words"])) <= 24
            assert not answer_of(stream.seen)

    async def test_frames_of_a_video_are_taken_or_refused(self) -> None:
        frames = [request for index in range(3) for request in upload(file_of(draw("a" * index, width=160)), index)]
        asked = analyze(self.task(), frame_interval=duration_pb2.Duration(nanos=500_000_000), max_output_tokens=8)
        self.loaded.load()
        async with self.looking() as stream:
            await stream.send(*frames, asked)
            if self.loaded.info.video:
                await stream.until("finished")
                await stream.send(*frames, *upload(file_of(draw("other")), 3), asked)
            error = await stream.failure()
        taken = grpc.StatusCode.INVALID_ARGUMENT if self.loaded.info.video else grpc.StatusCode.UNIMPLEMENTED
        assert error.code() == taken

    async def test_ten_streams_at_once_are_answered_as_each_alone(self) -> None:
        self.loaded.load()
        if Task.ANSWER not in self.loaded.info.tasks:
            pytest.skip("the engine does not answer")
        asked = [
            [*upload(file_of(draw(word, width=160))), analyze(ANSWER, prompt=f"{word}?", max_output_tokens=8)]
            for word in ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
        ]
        async with self.served(max_streams=len(asked), max_analyses=len(asked)) as (method, _, _):
            alone = [await _answer(method, self.config(), requests) for requests in asked]
            together = await asyncio.gather(*(_answer(method, self.config(), requests) for requests in asked))
        assert together == alone

    @asynccontextmanager
    async def doing(self, task: Task) -> AsyncGenerator[VlmExchange]:
        """A stream of an engine that does a task."""
        self.loaded.load()
        if task not in self.loaded.info.tasks:
            pytest.skip(f"the engine does not do {task}")
        async with self.looking() as stream:
            yield stream


async def _answer(method: Any, config: Request, requests: Sequence[Request]) -> str:
    async with exchange(method, config, *requests) as stream:
        await stream.until("finished")
        return answer_of(stream.seen)
