"""Documents come from the best down, and queries outside the limits are refused by name."""

from __future__ import annotations

import pytest

from voxmesh.embed.v1 import embed_pb2
from voxmesh_embed.engine import Score
from voxmesh_embed.queries import ranked
from voxmesh_embed.ranking_options import RankingOptions, pairs_of
from voxmesh_runtime.errors import InvalidArgument

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("scores", "order"),
    [([0.1, 0.9, 0.5], [1, 2, 0]), ([0.5, 0.5, 0.7], [2, 0, 1]), ([0.0], [0])],
)
def test_the_best_comes_first_and_equals_in_their_order(scores: list[float], order: list[int]) -> None:
    assert [document.document_index for document in ranked([Score(score, 1) for score in scores])] == order


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (embed_pb2.RerankQuery(query="", documents=["d"]), "query.query"),
        (embed_pb2.RerankQuery(query="q" * 10_001, documents=["d"]), "query.query"),
        (embed_pb2.RerankQuery(query="q"), "query.documents"),
        (embed_pb2.RerankQuery(query="q", documents=["d"] * 257), "query.documents"),
        (embed_pb2.RerankQuery(query="q", documents=["d", ""]), "query.documents[1]"),
        (embed_pb2.RerankQuery(query="q", documents=["d" * 100_001]), "query.documents[0]"),
        (embed_pb2.RerankQuery(query="q", documents=["d"], top_n=0), "query.top_n"),
        (embed_pb2.RerankQuery(query="q", documents=["d"], top_n=-1), "query.top_n"),
    ],
)
def test_a_query_outside_the_limits_is_refused_by_name(query: embed_pb2.RerankQuery, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        pairs_of(query, RankingOptions())
    assert refused.value.field == field


def test_every_document_is_asked_for_with_the_query() -> None:
    pairs = pairs_of(embed_pb2.RerankQuery(query="q", documents=["a", "b"], top_n=9), RankingOptions("why"))
    assert [(pair.query, pair.document, pair.instruction) for pair in pairs] == [("q", "a", "why"), ("q", "b", "why")]
