"""A server's failures, and what they tell the caller or the operator to do."""

from __future__ import annotations

from dataclasses import dataclass

from voxmesh_runtime.errors import FailedPrecondition, InvalidArgument, Overloaded, Unavailable, VoxmeshError
from voxmesh_runtime.quoting import quote
from voxmesh_runtime.upstreams import BAD_REQUESTS, BUSY, NO_MODEL, REFUSALS, SERVER_ERROR, ServerFailure


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of the server, for its errors."""

    url: str
    model: str
    language: str = ""
    has_prompt: bool = False


def to_error(failure: ServerFailure, asked: Asked) -> VoxmeshError:
    """The failure as the error of a stream."""
    status = failure.status
    if status is None or status >= SERVER_ERROR:
        detail = f" ({failure.quote})" if failure.quote else ""
        passes = failure.is_transient or status is not None
        advice = "try again" if passes else "check VOXMESH_OPENAI_AUDIO_BASE_URL, which mostly ends in /v1"
        return Unavailable(f"{failure.problem}{detail}; {advice}", failure.retry_after_s or 2.0)
    if status == BUSY:
        problem = "the server is at its limit (HTTP 429); try again later"
        return Overloaded(problem, failure.retry_after_s or 2.0)
    if status in REFUSALS:
        problem = f"the server refuses the service's key (HTTP {status}); set VOXMESH_OPENAI_AUDIO_API_KEY"
        return FailedPrecondition("upstream", asked.url, problem)
    if status == NO_MODEL:
        problem = (
            f"the server has no model {quote(asked.model)}, or no transcriptions at this address (HTTP 404); "
            "check --model and VOXMESH_OPENAI_AUDIO_BASE_URL, which mostly ends in /v1"
        )
        return FailedPrecondition("model", asked.model, problem)
    if status in BAD_REQUESTS:
        return _bad_request(failure, asked)
    problem = f"{failure.problem}, which is no transcription; check VOXMESH_OPENAI_AUDIO_BASE_URL"
    return FailedPrecondition("upstream", asked.url, problem)


def _bad_request(failure: ServerFailure, asked: Asked) -> VoxmeshError:
    text = failure.quote.lower()
    if asked.language and "language" in text:
        problem = f"the server refuses {quote(asked.language)}: {failure.quote}"
        return InvalidArgument("config.language_codes[0]", problem)
    if asked.has_prompt and "prompt" in text:
        return InvalidArgument("config.biasing", f"the server refuses it as a prompt: {failure.quote}")
    problem = f"{failure.problem}: {failure.quote or 'no reason given'}; check VOXMESH_OPENAI_AUDIO_EXTRA_FIELDS"
    return FailedPrecondition("upstream", asked.url, problem)
