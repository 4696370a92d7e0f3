"""What a turn's pictures show, in words for the language model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import grpc

from voxmesh.common.v1 import common_pb2
from voxmesh.vlm.v1 import vlm_pb2, vlm_pb2_grpc
from voxmesh_coordinator.cleaning import cleaned
from voxmesh_coordinator.registry import BackendRegistry
from voxmesh_routing.backends import Backend
from voxmesh_routing.call_timing import UpstreamCallTiming
from voxmesh_routing.failures import ServiceFailed
from voxmesh_runtime.duplex import CallOver, DuplexCall

Request = vlm_pb2.StreamingAnalyzeRequest
ANSWER = vlm_pb2.Analyze.TASK_ANSWER
READ_TEXT = vlm_pb2.Analyze.TASK_READ_TEXT
CHUNK_BYTES = 512 * 1024
INFO_TIMEOUT_S = 5.0

NewHop = Callable[[str, str], UpstreamCallTiming]


async def look(
    services: BackendRegistry, images: Sequence[bytes], question: str, new_hop: NewHop, parent: common_pb2.TraceContext
) -> str:
    """Words about the pictures: an answer where the model can give one, else the text it reads.

    A backend that cannot do it, such as one that does not read the script of the text, is followed by the next; it is
    well all the same. `new_hop` makes the clock of a hop by service and host.

    Raises:
        ServiceFailed: the service refused the pictures or broke.
    """
    candidates = services.vlm.candidates()
    for backend in candidates:
        try:
            return await _look(backend, images, question, new_hop, parent)
        except ServiceFailed as failure:
            is_last = backend is candidates[-1]
            if is_last or failure.code == grpc.StatusCode.INVALID_ARGUMENT:
                raise
            if failure.code != grpc.StatusCode.UNIMPLEMENTED:
                backend.failed(failure.problem)
    raise AssertionError("a slot has at least one backend")


async def _look(
    backend: Backend, images: Sequence[bytes], question: str, new_hop: NewHop, parent: common_pb2.TraceContext
) -> str:
    stub = vlm_pb2_grpc.VisionLanguageServiceStub(backend.channel)
    try:
        info = await stub.GetModelInfo(vlm_pb2.GetModelInfoRequest(), timeout=INFO_TIMEOUT_S)
        analyze = vlm_pb2.Analyze(task=READ_TEXT, trace_context=parent)
        if ANSWER in info.tasks:
            analyze.task, analyze.prompt = ANSWER, question
        text = await _analyze(stub, images, analyze, new_hop)
    except grpc.aio.AioRpcError as error:
        raise ServiceFailed.from_call(backend.label, error) from None
    except CallOver as over:
        raise ServiceFailed.from_over(backend.label, over) from None
    if analyze.task == ANSWER:
        return f"(The picture: {text})"
    return f'(The picture shows the text: "{text}")' if text else "(The picture shows no text.)"


async def _analyze(
    stub: vlm_pb2_grpc.VisionLanguageServiceStub, images: Sequence[bytes], analyze: vlm_pb2.Analyze, new_hop: NewHop
) -> str:
    call = DuplexCall(stub.StreamingAnalyze())
    try:
        await call.write(Request(config=vlm_pb2.AnalysisConfig()))
        for index, image in enumerate(images):
            for begin in range(0, len(image), CHUNK_BYTES):
                chunk = vlm_pb2.ImageChunk(image_index=index, data=image[begin : begin + CHUNK_BYTES])
                await call.write(Request(image_chunk=chunk))
        hop = new_hop("vlm", "")
        await call.write(Request(analyze=analyze))
        await call.half_close()
        return await _read(call, hop)
    finally:
        call.cancel()


async def _read(call: DuplexCall[Request, vlm_pb2.StreamingAnalyzeResponse], hop: UpstreamCallTiming) -> str:
    pieces: list[str] = []
    while (response := await call.read()) is not None:
        match response.WhichOneof("streaming_response"):
            case "ready":
                hop.service, hop.host = f"vlm/{response.ready.engine}", response.ready.host
            case "text_delta":
                hop.output()
                pieces.append(response.text_delta.text)
            case "text_line":
                hop.output()
                pieces.append(f"{response.text_line.text}\n")
            case "finished":
                hop.finish(response.finished.timing)
            case _:
                pass
    return cleaned("".join(pieces)).strip()
