"""Vectors are read from answers of any form, and what is no vector is refused."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest

from voxmesh_embed.engine import Kind, Text
from voxmesh_embed_openai_embeddings.answers import answer_of
from voxmesh_embed_openai_embeddings.settings import OpenAiEmbeddingsSettings
from voxmesh_embed_openai_embeddings.testing import packed
from voxmesh_embed_openai_embeddings.texts import is_too_long, kept_share, shared, written
from voxmesh_runtime.upstreams import ServerFailure

pytestmark = pytest.mark.unit


def item(embedding: Any, index: Any = 0) -> dict[str, Any]:
    """One entry of `data`."""
    return {"embedding": embedding, "index": index}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ([item([3, 4])], [[0.6, 0.8]]),
        ([item(packed([3, 4]))], [[0.6, 0.8]]),
        ([item([0, 2], 1), item([5, 0], 0)], [[1, 0], [0, 1]]),
        ([{"embedding": [5, 0]}, {"embedding": [0, 1]}], [[1, 0], [0, 1]]),
        ([item([1e30, 0])], [[1, 0]]),
        ([item([1e-30, 0])], [[1, 0]]),
        ([item([1e38, 1e38])], [[0.5**0.5, 0.5**0.5]]),
    ],
    ids=["floats", "base64", "another order", "no index", "huge", "tiny", "huge squares"],
)
def test_vectors_come_in_order_and_of_unit_length(data: list[Any], expected: list[list[float]]) -> None:
    answer = answer_of({"data": data, "usage": {"prompt_tokens": 7}}, len(expected), 2)
    assert np.allclose(answer.vectors, expected)
    assert answer.token_count == 7


@pytest.mark.parametrize("usage", [{}, {"usage": None}, {"usage": {"prompt_tokens": "7"}}, {"usage": {}}])
def test_a_server_need_not_count_tokens(usage: dict[str, Any]) -> None:
    assert answer_of({"data": [item([1])], **usage}, 1, None).token_count == 0


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"data": {}},
        {"data": [[1, 2]]},
        {"data": []},
        {"data": [item([1, 2]), item([1, 2], 1)]},
        {"data": [item([1, 2], 1)]},
        {"data": [item([1, 2], "0")]},
        {"data": [item([1, 2, 3])]},
        {"data": [item([1])]},
        {"data": [item([])]},
        {"data": [item([[1, 2]])]},
        {"data": [item(["a", "b"])]},
        {"data": [item([None, 1])]},
        {"data": [item(None)]},
        {"data": [item(7)]},
        {"data": [item({"a": 1})]},
        {"data": [item([float("nan"), 1])]},
        {"data": [item([float("inf"), 1])]},
        {"data": [item([1e300, 1])]},
        {"data": [item([0, 0])]},
        {"data": [item("no base64!")]},
        {"data": [item(base64.b64encode(b"12345").decode())]},
        {"data": [item("")]},
    ],
)
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_what_is_no_vector_is_refused(body: Any) -> None:
    with pytest.raises(ServerFailure):
        answer_of(body, 1, 2)


@pytest.mark.parametrize(
    ("template", "text", "expected"),
    [
        ("{text}", Text("a", Kind.QUERY), "a"),
        ("query: {text}", Text("{instruction}", Kind.QUERY), "query: {instruction}"),
        ("Instruct: {instruction}\nQuery:{text}", Text("a", Kind.QUERY, "say {text}"), "Instruct: say {text}\nQuery:a"),
        ("Instruct: {instruction}\nQuery:{text}", Text("a", Kind.QUERY), "Instruct: by default\nQuery:a"),
        ("query: {text}", Text("a"), "passage: a"),
    ],
)
def test_texts_are_put_in_the_operators_templates(template: str, text: Text, expected: str) -> None:
    settings = OpenAiEmbeddingsSettings(
        query_template=template, document_template="passage: {text}", instruction="by default"
    )
    assert written(text, settings) == expected


@pytest.mark.parametrize(
    ("status", "quote", "share"),
    [
        (
            500,
            "input (20001 tokens) is too large to process (current batch size: 512)",
            0.95 * 512 / 20001,
        ),
        (400, "This model's maximum context length is 8192 tokens, however you requested 10000 tokens", 0.95 * 0.8192),
        (
            413,
            "`inputs` must have less than 512 tokens. Given: 600, too long",
            0.95 * 512 / 600,
        ),
        (400, "input length exceeds the context length", 0.5),
        (422, "too long", 0.5),
        (400, "no such parameter", None),
        (503, "too large", None),
    ],
)
def test_a_text_that_is_too_long_is_told_by_the_servers_words(status: int, quote: str, share: float | None) -> None:
    failure = ServerFailure("refused", status=status, quote=quote)
    assert is_too_long(failure) == (share is not None)
    if share is not None:
        assert kept_share(failure) == pytest.approx(share)


@pytest.mark.parametrize(
    ("total", "sizes", "counts"),
    [(10, [5], [10]), (30, [1, 2], [10, 20]), (3, [1, 1, 1000], [1, 1, 3]), (900, [1], [256])],
)
def test_tokens_of_a_request_are_divided_among_its_texts(total: int, sizes: list[int], counts: list[int]) -> None:
    assert shared(total, sizes, 256) == counts
