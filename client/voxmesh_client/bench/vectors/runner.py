"""The order of a run of `voxmesh bench embed`: what the vectors are worth, then each load in its rounds."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import numpy as np

from voxmesh.embed.v1 import embed_pb2
from voxmesh_client.bench.each_target import View, counter, measure_target
from voxmesh_client.bench.machine import Machine, load
from voxmesh_client.bench.server import Limits, NotLoaded, Server
from voxmesh_client.bench.targets import Startable, Target
from voxmesh_client.bench.vectors.checks import (
    Scores,
    agreement_at_1,
    binary_vectors,
    cosines,
    int8_vectors,
    largest_difference,
    least_cosine,
    recall_at_1,
)
from voxmesh_client.bench.vectors.direct import Direct, direct_model
from voxmesh_client.bench.vectors.pair_file import Pairs
from voxmesh_client.bench.vectors.passes import EmbedOutcome, Load, Quality, Rounds, measure
from voxmesh_client.embeddings import Embeddings
from voxmesh_client.errors import MeshError

_CONFIG = embed_pb2.EmbeddingConfig
_QUERY = embed_pb2.TextBatch.KIND_QUERY
_DOCUMENT = embed_pb2.TextBatch.KIND_DOCUMENT


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done with every service."""

    pairs: Pairs
    loads: Sequence[Load]
    rounds: int
    least_texts: int
    """Of a round."""
    direct: bool
    """Call the models directly too."""
    baseline: str
    limits: Limits


@dataclass(frozen=True, slots=True)
class Run:
    """What was found of all services."""

    machine: Machine
    plan: Plan
    outcomes: Sequence[EmbedOutcome]


async def run_embed(targets: Sequence[Target], plan: Plan, view: View) -> Run:
    """Measure all services; one that does not serve is told in its outcome.

    Raises:
        BenchUsage: the interpreter of a target is missing.
    """
    load_before = load()
    outcomes = [await _measured(target, plan, view) for target in targets]
    return Run(Machine.now(load_before), plan, outcomes)


async def _measured(target: Target, plan: Plan, view: View) -> EmbedOutcome:
    outcome = EmbedOutcome(target.name)

    async def work(server: Server) -> None:
        if server.info.reranks and not server.info.embeds:
            raise NotLoaded("its model ranks and does not embed; measure an engine that embeds")
        outcome.dimensions = server.info.dimensions
        with view.step(f"{outcome.name}: what the vectors are worth", 0):
            try:
                outcome.quality = await quality_of(server.mesh.embeddings, plan.pairs)
            except MeshError as error:
                raise NotLoaded(f"it does not embed: {error}") from None
        async with _direct(target, outcome, plan, view) as direct:
            await _all_passes(outcome, server, direct, plan, view)

    await measure_target(outcome, target, plan.limits, view, work)
    return outcome


@asynccontextmanager
async def _direct(target: Target, outcome: EmbedOutcome, plan: Plan, view: View) -> AsyncGenerator[Direct | None]:
    """The target's model to be called directly, where that can be; else the outcome says why not."""
    if not plan.direct or not isinstance(target, Startable):
        outcome.direct_problem = "not asked for" if not plan.direct else "it was not started here"
        yield None
        return
    async with AsyncExitStack() as stack:
        direct = None
        try:
            with view.step(f"{outcome.name}: load the model alone", 0):
                direct = await stack.enter_async_context(direct_model(target, plan.limits))
        except NotLoaded as problem:
            outcome.direct_problem = str(problem)
        yield direct


async def _all_passes(outcome: EmbedOutcome, server: Server, direct: Direct | None, plan: Plan, view: View) -> None:
    texts = plan.pairs.texts()
    rounds = Rounds(texts, plan.rounds, plan.least_texts)
    with view.step(f"{outcome.name}: warm up", 0):
        await measure(server, direct, plan.loads[-1], Rounds(texts, 1, 1), lambda: None)
    for each in plan.loads:
        title = f"{outcome.name}: streams at once: {each.streams}, batches of {each.batch}"
        with view.step(title, plan.rounds, "rounds") as show:
            outcome.passes.append(await measure(server, direct, each, rounds, counter(show)))


async def quality_of(service: Embeddings, pairs: Pairs) -> Quality:
    """What a service's vectors are worth on pairs.

    Raises:
        MeshError: it refuses or fails.
    """
    documents = _floats(await service.embed(pairs.documents))
    alone = [await service.embed([text]) for text in pairs.documents]
    single = _floats([each for answer in alone for each in answer])
    queries = _floats(await service.embed(pairs.queries, kind=_QUERY))
    reference = cosines(queries, documents)
    quality = Quality(largest_difference(single, documents), least_cosine(single, documents), recall_at_1(reference))
    for name, encoding, unpacked in (
        ("int8", _CONFIG.ENCODING_INT8, int8_vectors),
        ("binary", _CONFIG.ENCODING_BINARY, binary_vectors),
    ):
        packed = [await _packed(service, texts, kind, encoding) for texts, kind in _both(pairs)]
        if all(packed):
            scores: Scores = cosines(*(unpacked(each) for each in packed))
            setattr(quality, f"{name}_recall_at_1", recall_at_1(scores))
            setattr(quality, f"{name}_agreement", agreement_at_1(scores, reference))
    return quality


def _both(pairs: Pairs) -> Sequence[tuple[Sequence[str], embed_pb2.TextBatch.Kind.ValueType]]:
    return ((pairs.queries, _QUERY), (pairs.documents, _DOCUMENT))


async def _packed(
    service: Embeddings,
    texts: Sequence[str],
    kind: embed_pb2.TextBatch.Kind.ValueType,
    encoding: embed_pb2.EmbeddingConfig.Encoding.ValueType,
) -> list[bytes]:
    """Vectors in an encoding; empty when the service has it not."""
    answer = await service.embed(texts, embed_pb2.EmbeddingConfig(encoding=encoding), kind)
    return [each.packed for each in answer] if all(each.packed for each in answer) else []


def _floats(embeddings: Sequence[embed_pb2.Embedding]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array([each.values for each in embeddings], np.float32)
