"""The engine's models and facts, and the spans of its judgements."""

from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from voxmesh.common.v1 import common_pb2
from voxmesh.turn.v1 import turn_pb2, turn_pb2_grpc
from voxmesh_runtime import names
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.engines import load_engine
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.models import ModelUnavailableError
from voxmesh_runtime.settings import ServerSettings
from voxmesh_testing.engines import hosting, shared
from voxmesh_testing.streams import exchange, serving
from voxmesh_testing.turn import messages, silence, speech, unfinished
from voxmesh_turn.engine import Engine
from voxmesh_turn.pause import Request
from voxmesh_turn.servicer import TurnService
from voxmesh_turn.settings import TurnSettings

pytestmark = pytest.mark.engine

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


def engine(**changes: str) -> Engine:
    context = EngineContext(cache_dir=ServerSettings().cache_dir, **changes)  # pyright: ignore[reportArgumentType] # only model and device are changed
    return load_engine("turn", "silero_smart_turn")(context)


def test_the_end_of_a_sentence_is_told_from_its_middle() -> None:
    loaded = engine()
    loaded.load()
    loaded.load()
    whole, cut = loaded.judge([speech(), unfinished()])
    assert whole > 0.9
    assert cut < 0.1
    assert 0 <= loaded.judge([silence(0)])[0] <= 1
    loaded.close()


def test_another_device_than_the_cpu_is_answered_with_the_reason() -> None:
    assert "CPU only" in engine(device="cuda:0").info.facts.device_reason
    assert not engine().info.facts.device_reason


@pytest.mark.parametrize("model", ["nowhere:else", "wheel:a==1/b"])
def test_a_model_that_is_no_source_is_refused(model: str) -> None:
    with pytest.raises(FailedPrecondition):
        engine(model=model)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ModelUnavailableError, match="no-such-file"):
        engine(model="path:no-such-file.onnx").load()


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.onnx"
    path.write_text("no model")
    with pytest.raises(FailedPrecondition, match="cannot be loaded"):
        engine(model=str(path)).load()


async def test_judgements_are_spans_of_the_turn_that_the_caller_named() -> None:
    exporter = InMemorySpanExporter()
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    settings = TurnSettings()
    turn = [*messages(silence(0.3)), *messages(speech()), *messages(silence(0.5))]
    async with serving(
        TurnService(hosting("turn", shared("turn", "silero_smart_turn"), settings), settings), settings
    ) as (channel, _):
        method = turn_pb2_grpc.TurnDetectionServiceStub(channel).StreamingDetect
        config = turn_pb2.TurnDetectionConfig(
            audio_format=common_pb2.AudioFormat(
                encoding=common_pb2.AudioFormat.ENCODING_PCM_S16LE, sample_rate_hertz=16000
            )
        )
        parent = common_pb2.TraceContext(traceparent=f"00-{TRACE_ID}-b7ad6b7169203331-01")
        async with exchange(method, Request(config=config), Request(trace_context=parent), *turn) as stream:
            await stream.until("end_of_turn")
            await stream.send(Request(new_turn=turn_pb2.NewTurn()), *turn)
            await stream.until("speech_stopped")
            await stream.until("end_of_turn")
    spans = [span for span in exporter.get_finished_spans() if span.name == names.SPAN_TURN_DETECTION]
    assert [span.parent is not None for span in spans] == [True, False]
    assert spans[0].context is not None
    assert format(spans[0].context.trace_id, "032x") == TRACE_ID
    assert float(str((spans[0].attributes or {})[names.COMPUTE_S])) > 0
