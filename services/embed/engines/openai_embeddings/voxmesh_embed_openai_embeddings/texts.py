"""Texts as the server gets them, what it means by "too long", and whose tokens its count is of."""

from __future__ import annotations

import re
from collections.abc import Sequence

from voxmesh_embed.engine import Kind, Text
from voxmesh_embed_openai_embeddings.settings import OpenAiEmbeddingsSettings
from voxmesh_runtime.upstreams import BAD_REQUESTS, SERVER_ERROR, ServerFailure

_PLACE = re.compile(r"\{(text|instruction)\}")
_TOO_LONG = re.compile(r"too (long|large)|exceed|context (length|size|window)|maximum .*(length|tokens)", re.IGNORECASE)
_NUMBER = re.compile(r"\d+")
_LEAST_LIMIT = 16
_MOST_KEPT, _USUALLY_KEPT = 0.95, 0.5


def written(text: Text, settings: OpenAiEmbeddingsSettings) -> str:
    """A text in its template."""
    is_query = text.kind is Kind.QUERY
    values = {"text": text.content, "instruction": text.instruction or settings.instruction}
    template = settings.query_template if is_query else settings.document_template
    # In one pass: braces in what a caller wrote are only characters.
    return _PLACE.sub(lambda place: values[place[1]], template)


def is_refused_input(failure: ServerFailure) -> bool:
    """One of the texts may be to blame, and the others may pass."""
    return failure.status in BAD_REQUESTS or is_too_long(failure)


def is_too_long(failure: ServerFailure) -> bool:
    """The server says that a text is longer than it takes; llama.cpp calls that its own error."""
    status = failure.status or 0
    return (status in BAD_REQUESTS or status == SERVER_ERROR) and bool(_TOO_LONG.search(failure.quote))


def kept_share(failure: ServerFailure) -> float:
    """How much of a text that is too long to try next: what the server's own numbers say, else half."""
    numbers = [int(number) for number in _NUMBER.findall(failure.quote) if int(number) >= _LEAST_LIMIT]
    if not numbers or max(numbers) == min(numbers):
        return _USUALLY_KEPT
    return max(0.01, min(_MOST_KEPT, _MOST_KEPT * min(numbers) / max(numbers)))


def shared(total: int, sizes: Sequence[int], most: int) -> list[int]:
    """`total` tokens of one request divided among its texts by their sizes, 1 to `most` each."""
    whole = max(1, sum(sizes))
    return [min(most, max(1, round(total * size / whole))) for size in sizes]
