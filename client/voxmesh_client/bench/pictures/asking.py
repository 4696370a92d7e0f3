"""One case put to one engine: its answer, how long it took, and whether it is right."""

from __future__ import annotations

import enum
import time
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict

from voxmesh.vlm.v1 import vlm_pb2
from voxmesh_client.bench.pictures.case_file import Case
from voxmesh_client.bench.pictures.scoring import scored
from voxmesh_client.errors import MeshError
from voxmesh_client.vision_language import Response, VisionLanguage
from voxmesh_runtime.clock import seconds_of

_READ, _ANSWER = vlm_pb2.Analyze.TASK_READ_TEXT, vlm_pb2.Analyze.TASK_ANSWER
_TIMEOUT_S = 600.0
_ONE_PIECE_S = 0.05
"""An answer of which the rest follows sooner came as one."""
_REFUSALS = {
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNIMPLEMENTED,
}


class Verdict(enum.Enum):
    """What became of a case."""

    RIGHT = "right"
    WRONG = "wrong"
    REFUSED = "refused"
    """The engine says that it cannot: it counts as not right."""
    FAILED = "failed"
    NOT_ASKED = "not asked"
    """The engine only reads text, and the case is no such task: it does not count."""


@dataclass(slots=True)
class Answer:
    """What an engine made of a case; times in seconds from the moment the picture is sent, on a stream of its own."""

    case: Case
    verdict: Verdict = Verdict.FAILED
    reason: str = ""
    """Why it is not right, or what is missing though it is."""
    score: float | None = None
    """From 0 to 1; None of a case that was not asked."""
    text: str = ""
    first_output_s: float | None = None
    """Until the first piece of the answer or the first line came."""
    taken_s: float | None = None
    queued_s: float = 0.0
    """Of the time taken, what the service says it waited for its turn."""
    is_cut: bool = False
    """The limit of tokens cut the answer."""

    @property
    def characters_per_s(self) -> float | None:
        """Of the answer, once it had begun, where it came piece by piece; the contract tells no tokens."""
        if self.taken_s is None or self.first_output_s is None or self.taken_s - self.first_output_s < _ONE_PIECE_S:
            return None
        return len(self.text) / (self.taken_s - self.first_output_s)


def analysis_of(case: Case, info: vlm_pb2.GetModelInfoResponse) -> vlm_pb2.Analyze | None:
    """How a case is put to an engine that can do what `info` says; None when it is not asked at all."""
    tasks = set(info.tasks)
    if case.task == "read_text" and _READ in tasks:
        return vlm_pb2.Analyze(task=_READ, language_codes=case.languages)
    if _ANSWER not in tasks:
        return None
    analysis = vlm_pb2.Analyze(task=_ANSWER, prompt=case.prompt, language_codes=case.languages)
    if case.answer_schema is not None and info.structured_results:
        analysis.response_schema.update(case.answer_schema)
    return analysis


async def ask(service: VisionLanguage, case: Case, image: bytes, info: vlm_pb2.GetModelInfoResponse) -> Answer:
    """Put a case to an engine; a failure is told in the answer."""
    answer = Answer(case)
    analysis = analysis_of(case, info)
    if analysis is None:
        answer.verdict, answer.reason = Verdict.NOT_ASKED, "it only reads text"
        return answer
    pieces: list[str] = []
    data: dict[str, Any] | None = None
    began = time.monotonic()
    try:
        async for response in service.analyze(image, analysis, _TIMEOUT_S):
            _take(answer, pieces, response, time.monotonic() - began)
            if response.HasField("structured_result"):
                data = MessageToDict(response.structured_result.value)
    except MeshError as error:
        answer.verdict = Verdict.REFUSED if error.code in _REFUSALS else Verdict.FAILED
        answer.reason, answer.score = str(error), 0.0
        return answer
    answer.text = "".join(pieces)
    found = scored(case, answer.text, data)
    answer.verdict = Verdict.RIGHT if found.is_right else Verdict.WRONG
    answer.score, answer.reason = found.score, found.reason
    return answer


def _take(answer: Answer, pieces: list[str], response: Response, at_s: float) -> None:
    match response.WhichOneof("streaming_response"):
        case "text_delta":
            pieces.append(response.text_delta.text)
        case "text_line":
            pieces.append(f"{response.text_line.text}\n")
        case "finished":
            answer.taken_s, answer.is_cut = at_s, response.finished.truncated
            answer.queued_s = seconds_of(response.finished.timing.queue_duration)
            return
        case "structured_result":
            pass
        case _:
            return
    if answer.first_output_s is None:
        answer.first_output_s = at_s
