"""A server's failures, and what they tell the caller or the operator to do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic import SecretStr

from voxmesh_runtime.errors import FailedPrecondition, InvalidArgument, Overloaded, Unavailable, VoxmeshError
from voxmesh_runtime.quoting import quote

BUSY = 429
NO_MODEL = 404
REFUSALS = frozenset({401, 403})
_BAD_REQUESTS = frozenset({400, 413, 415, 422})
_TRANSIENT = frozenset({408, BUSY, 502, 503, 504})
_SERVER_ERROR = 500
_MAX_QUOTED = 300


class ServerFailure(Exception):
    """One request that failed.

    Args:
        problem: what is wrong, in words of ours; it holds nothing that was said.
        status: of HTTP; None if there is none.
        quote: the server's own words, for the caller alone: they may hold what the caller sent.
        is_transient: the same request may pass soon.
        retry_after_s: the wait that the server asks for, in seconds.
    """

    def __init__(
        self,
        problem: str,
        *,
        status: int | None = None,
        quote: str = "",
        is_transient: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.status = status
        self.quote = quote
        self.is_transient = is_transient
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of the server, for its errors."""

    url: str
    model: str
    language: str = ""
    has_prompt: bool = False


def refused(status: int, headers: Mapping[str, str], body: bytes, key: SecretStr | None) -> ServerFailure:
    """The failure that an HTTP status other than 200 means."""
    return ServerFailure(
        f"the server answered HTTP {status}",
        status=status,
        quote="" if status in REFUSALS else _quote(body, key),
        is_transient=status in _TRANSIENT,
        retry_after_s=_retry_after_s(headers),
    )


def to_error(failure: ServerFailure, asked: Asked) -> VoxmeshError:
    """The failure as the error of a stream."""
    status = failure.status
    if status is None or status >= _SERVER_ERROR:
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
    if status in _BAD_REQUESTS:
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


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    try:
        return min(3600.0, max(0.0, float(headers.get("retry-after", ""))))
    except ValueError:
        # The other form, a date, is not worth a parser: our own back-off does.
        return None


def _quote(body: bytes, key: SecretStr | None) -> str:
    """The reason in an error's body."""
    try:
        return quotable(_reason(json.loads(body)), key)
    except (ValueError, RecursionError):
        return ""


def quotable(reason: str, key: SecretStr | None) -> str:
    """A server's words on one line, and without the key."""
    if key is not None and key.get_secret_value():
        reason = reason.replace(key.get_secret_value(), "***")
    return " ".join(reason.encode(errors="replace").decode().split())[:_MAX_QUOTED]


def _reason(body: Any) -> str:
    """OpenAI nests `error.message`, vLLM had it on top, FastAPI lists what fails under `detail`."""
    if not isinstance(body, dict):
        return ""
    body = cast("dict[str, Any]", body)
    error = body.get("error", body)
    if isinstance(error, str):
        return error
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return f"{error['message']} ({error['param']})" if isinstance(error.get("param"), str) else error["message"]
    detail = body.get("detail", "")
    if isinstance(detail, list):
        # Beside the message stands the input, which is what the caller sent.
        return "; ".join(f"{_last(item.get('loc'))}: {item.get('msg')}" for item in detail if isinstance(item, dict))
    return detail if isinstance(detail, str) else ""


def _last(path: Any) -> str:
    return str(path[-1]) if isinstance(path, list) and path else "request"
