"""What an upstream needs to see again with a tool call: its own id, and the fields that only it knows.

It travels through callers as opaque bytes: a version, and JSON. Another upstream is shown none of it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from voxmesh_runtime.chat.surrogates import joined
from voxmesh_runtime.control_tokens import strip_control_tokens
from voxmesh_runtime.structs import Json

log = logging.getLogger(__name__)

MAX_STATE_BYTES = 64 * 1024

_VERSION = b"\x01"
_KNOWN = frozenset({"upstream", "id", "call", "function"})
_OURS = frozenset({"index", "id", "type", "function", "name", "arguments"})


@dataclass(frozen=True, slots=True)
class CallState:
    """What one upstream said of one call, beside its name and arguments."""

    upstream: str
    """Which one; see `messages.upstream_key`."""
    call_id: str = ""
    of_call: Mapping[str, Any] = field(default_factory=dict[str, Any])
    of_function: Mapping[str, Any] = field(default_factory=dict[str, Any])


def encode(state: CallState) -> bytes:
    """The state as bytes; what is too long or would be refused when it comes back is left out."""
    fields: Json = {"id": state.call_id, "call": dict(state.of_call), "function": dict(state.of_function)}
    for kept in (fields, {"id": state.call_id}, {}):
        try:
            text = joined(json.dumps({"upstream": state.upstream, **kept}, ensure_ascii=False, allow_nan=False))
            data = _VERSION + text.encode()
            decode(data)
        except (ValueError, RecursionError) as error:
            log.warning("an upstream's fields of a tool call are not kept", extra={"reason": type(error).__name__})
        else:
            return data
    return b""


def decode(data: bytes) -> CallState:
    """The state in bytes that `encode` has made.

    Raises:
        ValueError: these are others.
    """
    if not data.startswith(_VERSION) or len(data) > MAX_STATE_BYTES:
        raise ValueError("of another version, or too long")
    try:
        fields = json.loads(data.removeprefix(_VERSION))
        told = json.dumps(fields, ensure_ascii=False, allow_nan=False)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(fields, dict) or not fields.keys() <= _KNOWN or strip_control_tokens(told) != told:
        raise ValueError("not what the service makes")
    upstream, call_id = fields.get("upstream"), fields.get("id", "")
    of_call, of_function = fields.get("call", {}), fields.get("function", {})
    if not isinstance(upstream, str) or not isinstance(call_id, str):
        raise ValueError("not what the service makes")  # noqa: TRY004 # a fault of the data
    if not isinstance(of_call, dict) or not isinstance(of_function, dict):
        raise ValueError("not what the service makes")  # noqa: TRY004 # the same
    if _OURS & (of_call.keys() | of_function.keys()):
        raise ValueError("holds fields of the contract")
    return CallState(upstream, call_id, of_call, of_function)


def state_for(upstream: str, data: bytes) -> CallState | None:
    """The state that this upstream gave a call; None where another service or upstream did, or nobody.

    A conversation that moves between backends carries states of both; neither may make it unusable at the other.
    """
    try:
        state = decode(data)
    except ValueError:
        return None
    return state if state.upstream == upstream else None
