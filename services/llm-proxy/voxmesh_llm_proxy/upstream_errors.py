"""Turn an upstream's failures into errors that tell the caller, or the operator, what to do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from voxmesh_runtime.chat.complaints import Complaint, Kind, kind_of
from voxmesh_runtime.errors import (
    FailedPrecondition,
    InvalidArgument,
    Overloaded,
    TimedOut,
    Unavailable,
    VoxmeshError,
)
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
        self.told: VoxmeshError | None = None
        """What a caller is told; set by the upstream that failed."""


def is_of_the_upstream(error: BaseException) -> bool:
    """True when the request may pass at another upstream: this one is at fault, and not what was sent."""
    if isinstance(error, UpstreamFailure):
        return kind_of(error.complaint) not in {Kind.REQUEST, Kind.CONTEXT, Kind.FILTER}
    return isinstance(error, Unavailable | Overloaded | TimedOut)


def is_of_its_health(error: BaseException) -> bool:
    """True when it counts against an upstream: it is no refusal of one request, and it is not merely busy."""
    is_busy = isinstance(error, UpstreamFailure) and kind_of(error.complaint) is Kind.BUSY
    return is_of_the_upstream(error) and not is_busy and not isinstance(error, Overloaded)


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


@dataclass(frozen=True, slots=True)
class Asked:
    """Who was asked, as its operator knows it."""

    model: str
    url: str
    name: str = ""
    """Of an upstream that a file names; empty for the one of the settings."""

    @property
    def who(self) -> str:
        """It as the subject of a sentence."""
        return f"the upstream {quote(self.name)}" if self.name else "the upstream"

    @property
    def url_setting(self) -> str:
        """Where its address stands."""
        return "its base_url in the file of upstreams" if self.name else "VOXMESH_UPSTREAM_URL"

    @property
    def key_setting(self) -> str:
        """Where its key stands."""
        return "its api_key_file in the file of upstreams" if self.name else "VOXMESH_UPSTREAM_API_KEY"


def before_answer(complaint: Complaint, asked: Asked) -> VoxmeshError:
    """The error of a generation for which the upstream has written nothing."""
    kind, told = kind_of(complaint), _told(complaint)
    wait_s = _bounded(complaint.retry_after_s or 2.0)
    match kind:
        case Kind.BUSY:
            return Overloaded(f"{asked.who} is at its limit{told}; try again later", wait_s)
        case Kind.SERVER:
            return Unavailable(f"{asked.who} failed{told}; try again", wait_s)
        case Kind.UNREACHABLE:
            problem = f"{asked.who} cannot be reached; try again, and check {asked.url_setting} if it stays so"
            return Unavailable(problem, wait_s)
        case _:
            return _refused(kind, told, asked)


def _refused(kind: Kind, told: str, asked: Asked) -> VoxmeshError:
    match kind:
        case Kind.CONTEXT:
            return InvalidArgument("generate.messages", f"longer than the model's context{told}")
        case Kind.KEY:
            problem = f"{asked.who} refuses the service's key{told}; set {asked.key_setting}"
            return FailedPrecondition("upstream", asked.url, problem)
        case Kind.MODEL:
            problem = f"{asked.who} has no model {quote(asked.model)} or no chat completions{told}"
            return FailedPrecondition("model", asked.model, f"{problem}; check {asked.url_setting}")
        case _:
            return InvalidArgument("generate", f"{asked.who} refused it{told}")


def in_mid_answer(complaint: Complaint, asked: Asked) -> VoxmeshError:
    """The error of a generation whose answer has begun; it is never sent again."""
    match kind_of(complaint):
        case Kind.UNREACHABLE:
            return Unavailable(f"the answer of {asked.who} broke off; send the generation again")
        case Kind.SERVER:
            return Unavailable(f"{asked.who} broke off its answer{_told(complaint)}; send the generation again")
        case _:
            return before_answer(complaint, asked)


def _told(complaint: Complaint) -> str:
    """The status and the reason, to be put behind what happened."""
    status = f" (HTTP {complaint.status})" if complaint.status is not None else ""
    return f"{status}: {quote(complaint.text, _MAX_QUOTED)}" if complaint.text else status


def _bounded(wait_s: float) -> float:
    return min(max(0.0, wait_s), _MAX_WAIT_S)
