"""A server's failures, and what they tell the caller or the operator to do."""

from __future__ import annotations

from pydantic import SecretStr

from voxmesh_runtime.chat.complaints import Complaint, Kind, kind_of
from voxmesh_runtime.errors import FailedPrecondition, InvalidArgument, Overloaded, Unavailable, VoxmeshError
from voxmesh_runtime.quoting import quote
from voxmesh_runtime.upstreams import SERVER_ERROR, ServerFailure, quotable
from voxmesh_vlm_openai_vision.settings import PREFIX

_WAIT_S = 2.0
_NO_EYES = ("mmproj", "multimodal", "image input", "support image", "support vision")
"""Words of servers whose model takes text alone."""


def of_complaint(complaint: Complaint, key: SecretStr | None) -> ServerFailure:
    """The failure that a server tells in the middle of its answer."""
    return ServerFailure(
        "the server broke off its answer",
        status=complaint.status,
        quote=quotable(complaint.text, key),
        is_transient=kind_of(complaint) in {Kind.SERVER, Kind.BUSY, Kind.UNREACHABLE},
        retry_after_s=complaint.retry_after_s,
    )


def to_error(failure: ServerFailure, url: str, model: str) -> VoxmeshError:
    """The failure as the error of a stream."""
    detail = f" ({failure.quote})" if failure.quote else ""
    if failure.status is None and not failure.is_transient:
        problem = f"{failure.problem}{detail}; check {PREFIX}BASE_URL, which mostly ends in /v1"
        return Unavailable(problem, failure.retry_after_s or _WAIT_S)
    kind = kind_of(Complaint(failure.quote, status=failure.status))
    if kind in {Kind.KEY, Kind.MODEL, Kind.REQUEST} or _lacks_eyes(failure):
        return FailedPrecondition("upstream", url, _of_operator(kind, failure, detail, model))
    if kind is Kind.CONTEXT:
        return InvalidArgument("analyze", f"longer than the context of the server's model{detail}; send less")
    if kind is Kind.BUSY:
        return Overloaded(f"the server is at its limit{detail}; try again later", failure.retry_after_s or _WAIT_S)
    if failure.status is not None and failure.status < SERVER_ERROR and not failure.is_transient:
        problem = f"{failure.problem}{detail}, which is no answer; check {PREFIX}BASE_URL"
        return FailedPrecondition("upstream", url, problem)
    return Unavailable(f"{failure.problem}{detail}; try again", failure.retry_after_s or _WAIT_S)


def _of_operator(kind: Kind, failure: ServerFailure, detail: str, model: str) -> str:
    """What the operator has to set right."""
    if kind is Kind.KEY:
        return f"the server refuses the service's key (HTTP {failure.status}); set {PREFIX}API_KEY"
    if kind is Kind.MODEL:
        problem = f"the server has no model {quote(model)} or no chat completions at this address{detail}"
        return f"{problem}; check --model and {PREFIX}BASE_URL, which mostly ends in /v1"
    if _lacks_eyes(failure):
        return f"the server's model sees no pictures{detail}; serve one that does (llama.cpp needs --mmproj)"
    reason = failure.quote or "no reason given"
    return f"{failure.problem}: {reason}; check {PREFIX}EXTRA_FIELDS"


def _lacks_eyes(failure: ServerFailure) -> bool:
    """By its words: llama.cpp tells so by a 500."""
    return any(word in failure.quote.lower() for word in _NO_EYES)
