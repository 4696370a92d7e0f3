"""Check configs and queries against the contract and the model, before a ranking engine sees them."""

from __future__ import annotations

from dataclasses import dataclass

from voxmesh.embed.v1 import embed_pb2
from voxmesh_embed.engine import EngineInfo, Pair
from voxmesh_embed.options import MAX_TEXT_CHARACTERS, MAX_TEXTS, instruction_taken
from voxmesh_runtime.outcomes import Outcome
from voxmesh_runtime.refusals import check_count, check_range

MAX_QUERY_CHARACTERS = 10_000


@dataclass(frozen=True, slots=True)
class RankingOptions:
    """What the caller asked for, as the model can give it."""

    instruction: str = ""
    """Empty when the model takes none."""


def ranking_options(config: embed_pb2.RerankConfig, info: EngineInfo) -> tuple[RankingOptions, list[Outcome]]:
    """The options of a config, and how each was taken.

    Raises:
        FailedPrecondition: it asks for another model than the loaded one.
        InvalidArgument: a field is outside its limits.
    """
    info.facts.require_model(config.model)
    instruction, outcomes = instruction_taken(config.instruction, info)
    return RankingOptions(instruction), outcomes


def pairs_of(query: embed_pb2.RerankQuery, options: RankingOptions) -> list[Pair]:
    """The query with each of its documents.

    Raises:
        InvalidArgument: names what is outside the contract's limits.
    """
    check_count("query.query", len(query.query), MAX_QUERY_CHARACTERS, least=1)
    check_count("query.documents", len(query.documents), MAX_TEXTS, least=1, unit="documents")
    for index, document in enumerate(query.documents):
        check_count(f"query.documents[{index}]", len(document), MAX_TEXT_CHARACTERS, least=1)
    if query.HasField("top_n"):
        check_range("query.top_n", query.top_n, 1, _MAX_INT32)
    return [Pair(query.query, document, options.instruction) for document in query.documents]


_MAX_INT32 = 2**31 - 1
