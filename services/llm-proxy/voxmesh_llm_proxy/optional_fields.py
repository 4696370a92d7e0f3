"""Fields of a request that a generation can do without, when the upstream knows them not or by another name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from voxmesh_runtime.chat.complaints import Complaint, Kind, kind_of
from voxmesh_runtime.structs import Json

OPTIONAL: Mapping[str, str | None] = {
    "chat_template_kwargs": None,
    "stream_options": None,
    "reasoning_effort": None,
    "cache_prompt": None,
    "id_slot": None,
    "temperature": None,
    "top_p": None,
    "top_k": None,
    "presence_penalty": None,
    "frequency_penalty": None,
    "seed": None,
    "max_tokens": "max_completion_tokens",
    "max_completion_tokens": None,
}
"""Each field, and the name under which it is tried next; None drops it."""

_UNKNOWN = ("unsupported", "not supported", "not support", "unknown", "unrecognized", "unexpected", "extra", "only the")
_OUT_OF_RANGE = (
    *("less than", "greater than", "at least", "at most", "between", "too large", "too small", "too high", "too low"),
    *("must be", "should be", "out of range", "exceed", "maximum", "minimum"),
)


class FieldsOfUpstream:
    """What one upstream has refused so far; it is sent no more.

    Args:
        unknown: fields that are known to be refused.
    """

    def __init__(self, unknown: Iterable[str] = ()) -> None:
        self._refused = set(unknown)

    def known(self, body: Json) -> Json:
        """The body of a request in the upstream's fields."""
        named = ((self._name(name), value) for name, value in body.items())
        return {name: value for name, value in named if name is not None}

    def is_dropped(self, name: str) -> bool:
        """True when the upstream knows a field by no name."""
        return self._name(name) is None

    def learn(self, complaint: Complaint, sent: Json) -> str | None:
        """The field of the request `sent` for which it was refused; None when it was for another reason."""
        field = refused_field(complaint, sent)
        if field is not None:
            self._refused.add(field)
        return field

    def _name(self, name: str) -> str | None:
        found: str | None = name
        while found in self._refused:
            found = OPTIONAL[found]
        return found


def refused_field(complaint: Complaint, sent: Json) -> str | None:
    """The optional field that a complaint is about, if it is about one and not about its value."""
    if kind_of(complaint) is not Kind.REQUEST:
        return None
    text = complaint.text.lower()
    if any(word in text for word in _OUT_OF_RANGE) and not any(word in text for word in _UNKNOWN):
        return None
    candidates = [name for name in OPTIONAL if name in sent]
    places = ((place, name) for name in candidates if (place := _place(name, f"{complaint.parameter} {text}")) >= 0)
    return min(places, default=(0, None))[1]


def _place(name: str, text: str) -> int:
    """Where `text` names a field; -1 when it does not."""
    found = re.search(rf"(?<![a-z0-9_]){name}(?![a-z0-9_])", text)
    return -1 if found is None else found.start()
