"""One analysis: its pictures are decoded, its outputs sent as they come, cancelled at any moment."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import struct_pb2

from voxmesh.common.v1 import common_pb2
from voxmesh.vlm.v1 import vlm_pb2
from voxmesh_runtime import names
from voxmesh_runtime.clock import WorkClock
from voxmesh_runtime.streams import StreamCall
from voxmesh_runtime.telemetry import work_span
from voxmesh_vlm.engine import Output, Structured, TextDelta, TextLine, Truncated
from voxmesh_vlm.looking import Looking
from voxmesh_vlm.options import AnalysisOptions

Request = vlm_pb2.StreamingAnalyzeRequest
Response = vlm_pb2.StreamingAnalyzeResponse


@dataclass(slots=True, eq=False)
class Analysis:
    """What one `analyze` asks, until it is answered."""

    index: int
    files: tuple[bytes, ...]
    options: AnalysisOptions
    trace_context: common_pb2.TraceContext
    clock: WorkClock = field(default_factory=WorkClock.start)
    cancelled: bool = False
    truncated: bool = False
    task: asyncio.Task[None] | None = None

    def cancel(self) -> None:
        """End it now; the step that the model is in goes on without a listener."""
        self.cancelled = True
        if self.task is not None:
            self.task.cancel()


async def look(analysis: Analysis, call: StreamCall[Request, Response], looking: Looking) -> None:
    """Send the outputs of an analysis, until it is cancelled."""
    attributes = looking.host.span_attributes
    with work_span(names.SPAN_VLM, analysis.trace_context, analysis.clock, attributes):
        if not analysis.cancelled:
            await _pass_on(analysis, call, looking)


def finished(analysis: Analysis) -> Response:
    """What closes an analysis."""
    return Response(
        finished=vlm_pb2.Finished(
            analysis_index=analysis.index,
            cancelled=analysis.cancelled,
            truncated=analysis.truncated,
            timing=analysis.clock.to_proto(),
        )
    )


async def _pass_on(analysis: Analysis, call: StreamCall[Request, Response], looking: Looking) -> None:
    outputs: asyncio.Queue[Output | None] = asyncio.Queue()

    async def read() -> None:
        async with aclosing(looking.outputs(analysis.files, analysis.options, analysis.clock)) as found:
            async for output in found:
                outputs.put_nowait(output)
                # The model goes on once the caller has taken this, so no more than one waits.
                await outputs.join()

    # A task of its own, so that a cancel waits neither for the model nor breaks a message off.
    async with asyncio.TaskGroup() as tasks:
        analysis.task = tasks.create_task(read())
        analysis.task.add_done_callback(lambda _: outputs.put_nowait(None))
        while (output := await outputs.get()) is not None:
            await _send(analysis, call, output)
            outputs.task_done()


async def _send(analysis: Analysis, call: StreamCall[Request, Response], output: Output) -> None:
    if analysis.cancelled:
        return
    if isinstance(output, Truncated):
        analysis.truncated = True
        return
    analysis.clock.output()
    await call.send(_response(analysis.index, output))


def _response(index: int, output: TextDelta | TextLine | Structured) -> Response:
    match output:
        case TextDelta(text):
            return Response(text_delta=vlm_pb2.TextDelta(analysis_index=index, text=text))
        case Structured(value):
            result = vlm_pb2.StructuredResult(analysis_index=index, value=_struct(value))
            return Response(structured_result=result)
        case TextLine():
            line = vlm_pb2.TextLine(
                analysis_index=index,
                image_index=output.picture,
                text=output.text,
                corners=[vlm_pb2.Point(x=x, y=y) for x, y in output.corners],
                confidence=output.confidence,
            )
            return Response(text_line=line)


def _struct(value: dict[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(value)
    return struct
