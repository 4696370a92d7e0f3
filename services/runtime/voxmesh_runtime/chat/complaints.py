"""Find what an upstream says went wrong, in whatever JSON, text or page it says so.

{"error": {"message": ..., "code": ..., "type": ...}}      OpenAI, Azure, llama.cpp, vLLM
[{"error": {"code": 429, "status": ..., "details": [...]}}]  Gemini
{"detail": [{"loc": [...], "msg": ...}]}                   FastAPI; Mistral puts it below `message`
{"object": "error", "message": ...}, {"error": "..."}, "...", <html>...
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from voxmesh_runtime.chat.surrogates import joined

MAX_TEXT_CHARACTERS = 2_000

_REASONS = ("message", "error", "detail", "msg", "error_description", "reason", "title", "description", "errors")
"""Fields that may hold the reason or what holds it, the likeliest first."""
_NESTED = (*_REASONS, "details")
_WORDS = ("code", "type", "status", "reason", "error_type")
_STATUSES = ("code", "status", "status_code", "http_status", "statusCode")
_MAX_DEPTH = 6
_MAX_ITEMS = 5


class Kind(Enum):
    """What a complaint is about."""

    UNREACHABLE = auto()
    CONTEXT = auto()
    FILTER = auto()
    KEY = auto()
    MODEL = auto()
    BUSY = auto()
    REQUEST = auto()
    SERVER = auto()


_BY_WORD = {
    Kind.UNREACHABLE: ("unreachable",),
    Kind.CONTEXT: ("context_length", "context_size", "context_window", "contextwindow"),
    Kind.FILTER: ("content_filter", "content_policy", "contentpolicy", "contentfilter", "responsibleai"),
    Kind.KEY: ("api_key", "authentication", "unauthenticated", "unauthorized", "permission", "access_denied"),
    Kind.BUSY: ("rate_limit", "ratelimit", "resource_exhausted", "quota", "too_many_requests", "throttl"),
    Kind.MODEL: ("model_not_found", "modelnotfound", "deploymentnotfound", "not_found_error", "notfounderror"),
}
"""Words that say more than the status beside them."""
_BY_STATUS = {
    **dict.fromkeys((400, 413, 422), Kind.REQUEST),
    **dict.fromkeys((401, 402, 403), Kind.KEY),
    404: Kind.MODEL,
    429: Kind.BUSY,
}
_REQUEST_WORDS = ("invalid_request", "invalid_argument", "invalid_value", "bad_request", "badrequest", "validation")
_CONTEXT_TEXTS = ("exceed", "length", "maximum", "too long", "too large", "window")


@dataclass(frozen=True, slots=True)
class Complaint:
    """Why an upstream did not do what it was asked."""

    text: str = ""
    """In its own words; empty when it has none."""
    words: str = ""
    """Its codes and types, in lower case."""
    status: int | None = None
    """HTTP status, of the answer or named in it."""
    parameter: str = ""
    """The field of the request that it is about, if it names one apart from the text."""
    retry_after_s: float | None = None
    """The wait that it asks for, in seconds."""


def complaint_in(body: object, status: int | None = None, retry_after_s: float | None = None) -> Complaint:
    """The complaint in an answer of `status`, or in an event of a stream; never raises on a shape."""
    body = _unpacked(body)
    levels = list(_levels(body, _MAX_DEPTH))
    words = (str(level[name]) for level in levels for name in _WORDS if _is_word(level.get(name)))
    statuses = (_status(level.get(name)) for level in levels for name in _STATUSES)
    parameters = (_parameter(level) for level in levels)
    waits = (_wait_s(level) for level in levels)
    return Complaint(
        text=joined(reason_text(body))[:MAX_TEXT_CHARACTERS],
        words=joined(" ".join(words)).lower()[:MAX_TEXT_CHARACTERS],
        status=status or next((found for found in statuses if found is not None), None),
        parameter=next((found for found in parameters if found), ""),
        retry_after_s=retry_after_s if retry_after_s is not None else next((s for s in waits if s is not None), None),
    )


def kind_of(complaint: Complaint) -> Kind:
    """What a complaint is about: by its words, then its status."""
    for kind, words in _BY_WORD.items():
        if any(word in complaint.words for word in words):
            return kind
    by_status = _BY_STATUS.get(complaint.status or 0, Kind.SERVER)
    is_of_request = complaint.status is None and any(word in complaint.words for word in _REQUEST_WORDS)
    text = complaint.text.lower()
    if by_status in {Kind.REQUEST, Kind.SERVER} and "context" in text and any(word in text for word in _CONTEXT_TEXTS):
        return Kind.CONTEXT
    return Kind.REQUEST if is_of_request else by_status


def reason_text(body: object, depth: int = _MAX_DEPTH) -> str:
    """The reason in a body of any shape, on one line; empty when it holds none."""
    if isinstance(body, str):
        return " ".join(_page_text(body).split())
    if depth == 0:
        return ""
    if isinstance(body, list):
        found = (reason_text(item, depth - 1) for item in body[:_MAX_ITEMS])
        return "; ".join(dict.fromkeys(text for text in found if text))
    if not isinstance(body, dict):
        return ""
    text = next((text for name in _REASONS if (text := reason_text(body.get(name), depth - 1))), "")
    place = _place(body)
    return f"{place}: {text}" if place and text else text


def _unpacked(body: object) -> object:
    """A text that is JSON, as what it says."""
    if not isinstance(body, str) or not body.lstrip().startswith(("{", "[")):
        return body
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body


def _levels(body: object, depth: int) -> Iterator[dict[str, Any]]:
    """All objects that may say something of the failure, the outer ones first."""
    if isinstance(body, dict):
        yield body
    if depth == 0 or not isinstance(body, dict | list):
        return
    inner = body[:_MAX_ITEMS] if isinstance(body, list) else [body.get(name) for name in _NESTED]
    for value in inner:
        yield from _levels(value, depth - 1)


def _page_text(text: str) -> str:
    """The title of an HTML page, or its text; any other text as it is."""
    if not text.lstrip().lower().startswith(("<!doctype", "<html", "<head", "<body")):
        return text
    title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    return title[1] if title is not None else re.sub(r"<[^>]*>", " ", text)


def _is_word(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _status(value: object) -> int | None:
    if isinstance(value, str) and len(value) == len("500") and value.isascii() and value.isdigit():
        value = int(value)
    is_status = isinstance(value, int) and not isinstance(value, bool) and 400 <= value <= 599  # noqa: PLR2004 # of HTTP
    return value if is_status else None  # pyright: ignore[reportReturnType] # checked


def _parameter(level: dict[str, Any]) -> str:
    named = level.get("param")
    return named if isinstance(named, str) else _place(level)


def _place(level: dict[str, Any]) -> str:
    """Where in the request the fault is, as pydantic tells it."""
    place = level.get("loc")
    return ".".join(str(part) for part in place if _is_word(part)) if isinstance(place, list) else ""


def _wait_s(level: dict[str, Any]) -> float | None:
    """As Gemini tells it: "34.5s"."""
    delay = level.get("retryDelay")
    found = re.fullmatch(r"(\d{1,5}(?:\.\d{1,9})?)s", delay) if isinstance(delay, str) else None
    return float(found[1]) if found is not None else None
