"""Turn an upstream's failures into errors that tell the caller, or the operator, what to do."""

from __future__ import annotations

from openai import APIConnectionError, APIError, APIStatusError

from voxmesh_runtime.errors import FailedPrecondition, InvalidArgument, Overloaded, Unavailable, VoxmeshError

_BUSY = 429
_REFUSALS = {401, 403}
_BAD_REQUESTS = {400, 413, 422}
_NO_MODEL = 404
TRANSIENT = frozenset({_BUSY, 502, 503, 504})
"""Statuses after which the same request may pass soon."""
_MAX_QUOTED = 300


def is_transient(error: BaseException) -> bool:
    """True when the same request may pass soon."""
    if isinstance(error, APIStatusError):
        return error.status_code in TRANSIENT
    return isinstance(error, APIConnectionError)


def retry_after_s(error: BaseException | None) -> float | None:
    """The wait that the upstream asks for, in seconds; None when it asks for none."""
    if not isinstance(error, APIStatusError):
        return None
    try:
        return max(0.0, float(error.response.headers.get("retry-after", "")))
    except ValueError:
        # The other form, a date, is not worth a parser: our own back-off does.
        return None


def before_answer(error: APIError, model: str, url: str) -> VoxmeshError:
    """The error of a generation for which the upstream has written nothing."""
    if isinstance(error, APIStatusError):
        return _refused(error, model, url)
    if isinstance(error, APIConnectionError):
        return Unavailable(
            "the upstream cannot be reached; try again, and check VOXMESH_UPSTREAM_URL if it stays so", 2.0
        )
    return Unavailable(f"the upstream gave up: {_quote(error)}; try again")


def in_mid_answer(error: Exception) -> VoxmeshError:
    """The error of a generation whose answer has begun; it is never sent again."""
    if isinstance(error, APIError) and not isinstance(error, APIConnectionError):
        return Unavailable(f"the upstream broke off its answer: {_quote(error)}; send the generation again")
    return Unavailable("the upstream's answer broke off; send the generation again")


def _refused(error: APIStatusError, model: str, url: str) -> VoxmeshError:
    status = error.status_code
    if status in _REFUSALS:
        problem = f"the upstream refuses the service's key (HTTP {status}); set VOXMESH_UPSTREAM_API_KEY"
        return FailedPrecondition("upstream", url, problem)
    if status == _NO_MODEL:
        problem = f"the upstream has no model {model!r} or no chat completions (HTTP 404); check VOXMESH_UPSTREAM_URL"
        return FailedPrecondition("model", model, problem)
    if status in _BAD_REQUESTS:
        return _bad_request(error)
    if status == _BUSY:
        return Overloaded("the upstream is at its limit (HTTP 429); try again later", retry_after_s(error) or 2.0)
    return Unavailable(f"the upstream failed (HTTP {status}); try again", retry_after_s(error) or 2.0)


def _bad_request(error: APIStatusError) -> InvalidArgument:
    text = f"{error.code} {error.type} {error.message}".lower()
    if "context" in text and any(word in text for word in ("exceed", "length", "maximum", "too long")):
        return InvalidArgument("generate.messages", f"longer than the model's context: {_quote(error)}")
    return InvalidArgument("generate", f"the upstream refused it: {_quote(error)}")


def _quote(error: APIError) -> str:
    body = error.body
    # The client's own text would show the whole body.
    message = body.get("message") if isinstance(body, dict) else None  # pyright: ignore[reportUnknownMemberType] # JSON
    return str(message or error.message)[:_MAX_QUOTED]
