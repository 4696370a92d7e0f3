"""Turn an upstream's failures into errors that tell the caller, or the operator, what to do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from openai import APIConnectionError, APIError, APIStatusError

from voxmesh_runtime.chat.complaints import Complaint, Kind, complaint_in, kind_of
from voxmesh_runtime.errors import FailedPrecondition, InvalidArgument, Overloaded, Unavailable, VoxmeshError
from voxmesh_runtime.quoting import quote

TRANSIENT = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
"""HTTP statuses after which the same request may pass soon."""
UNREACHABLE = Complaint(words="unreachable")
"""No connection, or one that broke before an answer began."""

_MAX_QUOTED = 300
_MAX_WAIT_S = 86_400.0


class UpstreamFailure(Exception):
    """An upstream failed a request before it wrote anything of the answer."""

    def __init__(self, complaint: Complaint) -> None:
        super().__init__(complaint.text)
        self.complaint = complaint

    @classmethod
    def of(cls, error: APIError) -> UpstreamFailure:
        """What the HTTP client says."""
        if isinstance(error, APIStatusError):
            wait_s = asked_wait_s(error.response.headers, datetime.now(UTC))
            return cls(complaint_in(_body(error), error.status_code, wait_s))
        if isinstance(error, APIConnectionError):
            return cls(UNREACHABLE)
        return cls(complaint_in(error.body or error.message))


def is_transient(error: BaseException) -> bool:
    """True when the same request may pass soon."""
    if not isinstance(error, UpstreamFailure):
        return False
    complaint = error.complaint
    is_about_now = kind_of(complaint) in {Kind.UNREACHABLE, Kind.BUSY, Kind.SERVER}
    return is_about_now and (complaint.status is None or complaint.status in TRANSIENT)


def retry_after_s(error: BaseException | None) -> float | None:
    """The wait that the upstream asks for, in seconds; None when it asks for none."""
    return error.complaint.retry_after_s if isinstance(error, UpstreamFailure) else None


def asked_wait_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """The wait that the headers of an answer ask for, in seconds, as milliseconds, seconds or a date."""
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            wait_s = float(headers.get(name, "")) * unit_s
        except ValueError:
            continue
        if math.isfinite(wait_s):
            return _bounded(wait_s)
    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    # A date in the old form names no zone; all are of UTC.
    return _bounded((date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds())


def before_answer(complaint: Complaint, model: str, url: str) -> VoxmeshError:
    """The error of a generation for which the upstream has written nothing."""
    kind, told = kind_of(complaint), _told(complaint)
    wait_s = _bounded(complaint.retry_after_s or 2.0)
    match kind:
        case Kind.BUSY:
            return Overloaded(f"the upstream is at its limit{told}; try again later", wait_s)
        case Kind.SERVER:
            return Unavailable(f"the upstream failed{told}; try again", wait_s)
        case Kind.UNREACHABLE:
            problem = "the upstream cannot be reached; try again, and check VOXMESH_UPSTREAM_URL if it stays so"
            return Unavailable(problem, wait_s)
        case _:
            return _refused(kind, told, model, url)


def _refused(kind: Kind, told: str, model: str, url: str) -> VoxmeshError:
    match kind:
        case Kind.CONTEXT:
            return InvalidArgument("generate.messages", f"longer than the model's context{told}")
        case Kind.KEY:
            problem = f"the upstream refuses the service's key{told}; set VOXMESH_UPSTREAM_API_KEY"
            return FailedPrecondition("upstream", url, problem)
        case Kind.MODEL:
            problem = f"the upstream has no model {quote(model)} or no chat completions{told}"
            return FailedPrecondition("model", model, f"{problem}; check VOXMESH_UPSTREAM_URL")
        case _:
            return InvalidArgument("generate", f"the upstream refused it{told}")


def in_mid_answer(complaint: Complaint, model: str, url: str) -> VoxmeshError:
    """The error of a generation whose answer has begun; it is never sent again."""
    match kind_of(complaint):
        case Kind.UNREACHABLE:
            return Unavailable("the upstream's answer broke off; send the generation again")
        case Kind.SERVER:
            return Unavailable(f"the upstream broke off its answer{_told(complaint)}; send the generation again")
        case _:
            return before_answer(complaint, model, url)


def _told(complaint: Complaint) -> str:
    """The status and the reason, to be put behind what happened."""
    status = f" (HTTP {complaint.status})" if complaint.status is not None else ""
    return f"{status}: {quote(complaint.text, _MAX_QUOTED)}" if complaint.text else status


def _body(error: APIStatusError) -> object:
    """All that the upstream wrote; the client's own `body` is but a part of it."""
    try:
        return error.response.text or error.body
    except RuntimeError:
        # It was not read.
        return error.body


def _bounded(wait_s: float) -> float:
    return min(max(0.0, wait_s), _MAX_WAIT_S)
