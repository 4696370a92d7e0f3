"""What RapidOCR cannot show: answers, data, limits, cancellation that reaches the engine, errors without their text."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.protobuf import json_format, struct_pb2

from voxmesh.vlm.v1 import vlm_pb2, vlm_pb2_grpc
from voxmesh_runtime.clock import seconds_of
from voxmesh_runtime.engine import ModelFacts
from voxmesh_testing.engines import hosting
from voxmesh_testing.pictures import ANSWER, CANCEL, Request, VlmExchange, analyze, draw, file_of, upload
from voxmesh_testing.streams import exchange, serving, wait_until
from voxmesh_vlm.engine import Analysis, AnalysisRequest, EngineInfo, Structured, Task, TextDelta, Truncated
from voxmesh_vlm.servicer import VlmService
from voxmesh_vlm.settings import VlmSettings

pytestmark = pytest.mark.unit

CONFIG = Request(config=vlm_pb2.AnalysisConfig())
PICTURE = upload(file_of(draw("x")))


class Parrot:
    """Answers with the words of the prompt; some of them make it behave."""

    def __init__(self) -> None:
        facts = ModelFacts("parrot-1", "Apache-2.0")
        self.info = EngineInfo(facts, frozenset({Task.ANSWER}), structured_results=True)
        self.open_analyses = 0
        self.most_open = 0
        self.go_on = threading.Event()
        self.tokens = 0

    def load(self) -> None: ...

    def warm_up(self) -> None: ...

    def close(self) -> None: ...

    def analyze(self, request: AnalysisRequest) -> Analysis:
        self.open_analyses += 1
        self.most_open = max(self.most_open, self.open_analyses)
        self.tokens = request.max_output_tokens
        try:
            yield from self._outputs(request)
        finally:
            self.open_analyses -= 1

    def _outputs(self, request: AnalysisRequest) -> Analysis:
        if request.response_schema is not None:
            yield Structured({"schema": request.response_schema, "pictures": len(request.pictures)})
        for count, word in enumerate(request.prompt.split()):
            if count == request.max_output_tokens:
                yield Truncated()
                return
            if word == "wait":
                assert self.go_on.wait(20)
            if word == "fail":
                raise ValueError("secret of the house")
            yield TextDelta(word)


@asynccontextmanager
async def parrot_stream(**settings: Any) -> AsyncGenerator[tuple[VlmExchange, Parrot, Any]]:
    engine = Parrot()
    served = VlmSettings(engine="parrot", **settings)
    async with serving(VlmService(hosting("vlm", engine, served), served), served) as (channel, _):
        method = vlm_pb2_grpc.VisionLanguageServiceStub(channel).StreamingAnalyze
        async with exchange(method, CONFIG) as stream:
            await stream.until("ready")
            try:
                yield stream, engine, method
            finally:
                engine.go_on.set()


def ask(prompt: str, **fields: Any) -> list[Request]:
    return [*PICTURE, analyze(ANSWER, prompt=prompt, **fields)]


def words(stream: VlmExchange) -> list[str]:
    return [seen.text_delta.text for seen in stream.seen if seen.HasField("text_delta")]


async def test_an_answer_comes_piece_by_piece() -> None:
    async with parrot_stream() as (stream, _, _):
        await stream.send(*ask("one two three"))
        finished = await stream.until("finished")
        assert words(stream) == ["one", "two", "three"]
        assert not finished.truncated
        assert seconds_of(finished.timing.first_output_time) > 0


async def test_the_callers_limit_of_tokens_reaches_the_engine_and_a_cut_answer_is_told() -> None:
    async with parrot_stream() as (stream, engine, _):
        await stream.send(*ask("one two three", max_output_tokens=2))
        assert (await stream.until("finished")).truncated
        assert words(stream) == ["one", "two"]
        await stream.send(*ask("one"))
        await stream.until("finished")
        assert engine.tokens == VlmSettings().max_output_tokens


async def test_a_schema_reaches_the_engine_and_data_comes_back() -> None:
    schema = struct_pb2.Struct()
    schema.update({"type": "object", "required": ["name"]})
    async with parrot_stream() as (stream, _, _):
        await stream.send(*PICTURE, analyze(ANSWER, response_schema=schema))
        result = await stream.until("structured_result")
        value = json_format.MessageToDict(result.value)
        assert value == {"schema": {"type": "object", "required": ["name"]}, "pictures": 1}


async def test_cancel_is_answered_while_the_model_is_busy_and_closes_the_engines_analysis() -> None:
    async with parrot_stream() as (stream, engine, _):
        await stream.send(*ask("one wait two"))
        await stream.until("text_delta")
        await stream.send(CANCEL)
        assert (await stream.until("finished")).cancelled
        assert not engine.go_on.is_set()
        engine.go_on.set()
        await wait_until(lambda: engine.open_analyses == 0)
        assert words(stream) == ["one"]


async def test_a_client_that_vanishes_closes_the_engines_analysis() -> None:
    async with parrot_stream() as (stream, engine, _):
        await stream.send(*ask("one wait two"))
        await stream.until("text_delta")
        stream.call.cancel()
        engine.go_on.set()
        await wait_until(lambda: engine.open_analyses == 0)


async def test_an_engine_that_fails_ends_the_stream_without_its_words_and_serves_the_next() -> None:
    async with parrot_stream() as (stream, _, method):
        await stream.send(*ask("one fail"))
        error = await stream.failure()
        assert error.code() == grpc.StatusCode.INTERNAL
        assert "secret" not in str(error.details())
        async with exchange(method, CONFIG, *ask("fine")) as after:
            assert (await after.until("text_delta")).text == "fine"


async def test_no_more_analyses_than_set_hold_pictures_at_once() -> None:
    async with parrot_stream(max_analyses=1) as (stream, engine, method), exchange(method, CONFIG) as other:
        await stream.send(*ask("one wait two"))
        await stream.until("text_delta")
        await other.send(*ask("later"))
        await asyncio.sleep(0.1)
        engine.go_on.set()
        finished = await other.until("finished")
        await stream.until("finished")
        assert engine.most_open == 1
        assert seconds_of(finished.timing.queue_duration) >= 0.05
