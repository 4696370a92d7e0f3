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
    voice: str = ""
    has_speed: bool = False
    has_instructions: bool = False


def to_error(failure: ServerFailure, asked: Asked) -> VoxmeshError:
    """The failure as the error of a stream."""
    status = failure.status
    if status is None or status >= SERVER_ERROR:
        detail = f" ({failure.quote})" if failure.quote else ""
        passes = failure.is_transient or status is not None
        advice = "try again" if passes else "check VOXMESH_OPENAI_SPEECH_BASE_URL, which mostly ends in /v1"
        return Unavailable(f"{failure.problem}{detail}; {advice}", failure.retry_after_s or 2.0)
    if status == BUSY:
        problem = "the server is at its limit (HTTP 429); try again later"
        return Overloaded(problem, failure.retry_after_s or 2.0)
    if status in REFUSALS:
        problem = f"the server refuses the service's key (HTTP {status}); set VOXMESH_OPENAI_SPEECH_API_KEY"
        return FailedPrecondition("upstream", asked.url, problem)
    if status == NO_MODEL:
        detail = f" ({failure.quote})" if failure.quote else ""
        problem = (
            f"the server has no model {asked.model!r}, no voice {asked.voice!r}, or no speech at this address "
            f"(HTTP 404{detail}); check --model, VOXMESH_OPENAI_SPEECH_VOICES and VOXMESH_OPENAI_SPEECH_BASE_URL, "
            "which mostly ends in /v1"
        )
        return FailedPrecondition("model", asked.model, problem)
    if status in BAD_REQUESTS:
        return _bad_request(failure, asked)
    problem = f"{failure.problem}, which is no speech; check VOXMESH_OPENAI_SPEECH_BASE_URL"
    return FailedPrecondition("upstream", asked.url, problem)


def _bad_request(failure: ServerFailure, asked: Asked) -> VoxmeshError:
    text = failure.quote.lower()
    if asked.has_speed and "speed" in text:
        return InvalidArgument("config.speaking_rate", f"the server refuses it: {failure.quote}")
    if asked.has_instructions and "instruct" in text:
        return InvalidArgument("config.instruction", f"the server refuses it: {failure.quote}")
    setting = "VOICES" if "voice" in text else "EXTRA_FIELDS"
    reason = failure.quote or "no reason given"
    problem = f"{failure.problem}: {reason}; check VOXMESH_OPENAI_SPEECH_{setting}"
    return FailedPrecondition("upstream", asked.url, problem)
