"""A server's failures, and what they tell the caller or the operator to do."""

from __future__ import annotations

from dataclasses import dataclass

from voxmesh_runtime.errors import FailedPrecondition, InvalidArgument, Overloaded, Unavailable, VoxmeshError
from voxmesh_runtime.upstreams import BAD_REQUESTS, BUSY, NO_MODEL, REFUSALS, SERVER_ERROR, ServerFailure


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of the server, for its errors."""

    url: str
    model: str


def to_error(failure: ServerFailure, asked: Asked) -> VoxmeshError:
    """The failure as the error of a stream."""
    status = failure.status
    detail = f" ({failure.quote})" if failure.quote else ""
    if status is None or status >= SERVER_ERROR:
        passes = failure.is_transient or status is not None
        advice = "try again" if passes else "check VOXMESH_OPENAI_EMBEDDINGS_BASE_URL, which mostly ends in /v1"
        return Unavailable(f"{failure.problem}{detail}; {advice}", failure.retry_after_s or 2.0)
    if status == BUSY:
        return Overloaded("the server is at its limit (HTTP 429); try again later", failure.retry_after_s or 2.0)
    if status in REFUSALS:
        problem = f"the server refuses the service's key (HTTP {status}); set VOXMESH_OPENAI_EMBEDDINGS_API_KEY"
        return FailedPrecondition("upstream", asked.url, problem)
    if status == NO_MODEL:
        problem = (
            f"the server has no model {asked.model!r}, or no embeddings at this address (HTTP 404{detail}); check "
            "--model and VOXMESH_OPENAI_EMBEDDINGS_BASE_URL, which mostly ends in /v1"
        )
        return FailedPrecondition("model", asked.model, problem)
    if status in BAD_REQUESTS:
        return InvalidArgument("batch.texts", f"the server refuses a text: {failure.quote or failure.problem}")
    problem = f"{failure.problem}, which is no vector; check VOXMESH_OPENAI_EMBEDDINGS_BASE_URL"
    return FailedPrecondition("upstream", asked.url, problem)


def start_error(failure: ServerFailure, asked: Asked) -> VoxmeshError:
    """The failure as the reason why the service does not start."""
    if failure.status is None and failure.is_transient:
        return Unavailable(f"{failure.problem}; start the server, or check VOXMESH_OPENAI_EMBEDDINGS_BASE_URL")
    if failure.status in BAD_REQUESTS:
        detail = failure.quote or "no reason given"
        problem = f"{failure.problem}: {detail}; check --model and VOXMESH_OPENAI_EMBEDDINGS_EXTRA_FIELDS"
        return FailedPrecondition("upstream", asked.url, problem)
    return to_error(failure, asked)
