"""A server that an engine asks over HTTP: its address, and what its refusals say, whatever the protocol above."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr

from voxmesh_runtime.errors import FailedPrecondition

BUSY = 429
NO_MODEL = 404
REFUSALS = frozenset({401, 403})
BAD_REQUESTS = frozenset({400, 413, 415, 422})
SERVER_ERROR = 500
_TRANSIENT = frozenset({408, BUSY, 502, 503, 504})
_MAX_QUOTED = 300


class ServerFailure(Exception):
    """One request that failed.

    Args:
        problem: what is wrong, in words of ours; it holds nothing that a caller sent.
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


def refused(status: int, headers: Mapping[str, str], body: bytes, key: SecretStr | None) -> ServerFailure:
    """The failure that an HTTP status other than 200 means."""
    return ServerFailure(
        f"the server answered HTTP {status}",
        status=status,
        quote="" if status in REFUSALS else quoted_reason(body, key),
        is_transient=status in _TRANSIENT,
        retry_after_s=_retry_after_s(headers),
    )


def quoted_reason(body: bytes, key: SecretStr | None) -> str:
    """The reason in an error's JSON body, on one line and without the key; empty if there is none."""
    try:
        return quotable(_reason(json.loads(body)), key)
    except (ValueError, RecursionError):
        return ""


def quotable(reason: str, key: SecretStr | None) -> str:
    """A server's words on one line, and without the key."""
    if key is not None and key.get_secret_value():
        reason = reason.replace(key.get_secret_value(), "***")
    return " ".join(reason.encode(errors="replace").decode().split())[:_MAX_QUOTED]


def shown_address(url: str) -> str:
    """A server's address without user, password and query, for messages."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def check_address(url: str, variable: str) -> None:
    """Refuse what is no HTTP address; `variable` is the setting to change.

    Raises:
        FailedPrecondition: it is empty or no address.
    """
    if not url:
        problem = f"no server is configured; set {variable}, such as http://host:8000/v1"
        raise FailedPrecondition("upstream", "", problem)
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise FailedPrecondition("upstream", "", f"{variable} is no address; give one such as http://host:8000/v1")


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    try:
        return min(3600.0, max(0.0, float(headers.get("retry-after", ""))))
    except ValueError:
        # The other form, a date, is not worth a parser: our own back-off does.
        return None


def _reason(body: Any) -> str:
    """OpenAI nests `error.message`, vLLM had it on top; FastAPI has a text, an object or a list under `detail`."""
    if not isinstance(body, dict):
        return ""
    body = cast("dict[str, Any]", body)
    match body:
        case {"detail": dict() as detail}:
            return _reason(detail)
        case {"detail": list() as items}:
            # Beside the message stands the input, which is what the caller sent.
            return "; ".join(f"{_last(item.get('loc'))}: {item.get('msg')}" for item in items if isinstance(item, dict))
        case {"error": {"message": str() as message, **rest}} | {"message": str() as message, **rest}:
            return f"{message} ({rest['param']})" if isinstance(rest.get("param"), str) else message
        case {"error": str() as message} | {"detail": str() as message}:
            return message
        case _:
            return ""


def _last(path: Any) -> str:
    return str(path[-1]) if isinstance(path, list) and path else "request"
