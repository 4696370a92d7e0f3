"""Texts through an embedding service over some streams at once, in turn with the model called directly."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from voxmesh.embed.v1 import embed_pb2
from voxmesh_client.bench.findings import Figures, Findings, Measured, TargetOutcome, waits
from voxmesh_client.bench.metering import Cost, metered
from voxmesh_client.bench.server import Server
from voxmesh_client.bench.vectors.direct import Direct, DirectCost
from voxmesh_client.embeddings import EmbeddingStream, Request
from voxmesh_client.errors import MeshError
from voxmesh_runtime.clock import seconds_of

BATCHES_A_STREAM = 4
"""A round has at least this many batches for each stream, so that all stay busy most of it."""
MAX_AT_ONCE = 64
"""More gain nothing, and might not fit the memory of a GPU."""
_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Load:
    """How a service is used."""

    streams: int
    batch: int
    """Texts of a message; each stream sends the next one when the one before is answered."""

    @property
    def at_once(self) -> int:
        """Texts that the model gets at once when it is called directly: those that are under way in the service."""
        return min(self.streams * self.batch, MAX_AT_ONCE)


@dataclass(slots=True)
class Round:
    """One set of texts through the service, and through the model called directly."""

    texts: int
    service_s: float = 0.0
    """From the first message to the last answer."""
    direct: DirectCost | None = None
    """Of the model called directly; None where it cannot be."""
    tokens: int = 0
    truncated: int = 0
    latencies_s: list[float] = field(default_factory=list[float])
    """Of each batch, from its message to its answer."""
    queued_s: list[float] = field(default_factory=list[float])
    """Of each batch, what the service says it waited for its turn."""
    failures: list[str] = field(default_factory=list[str])
    began: float | None = None
    """By the clock of `time.monotonic`."""

    def begin(self) -> None:
        """The first message is about to leave."""
        if self.began is None:
            self.began = time.monotonic()

    def take(self, batch: embed_pb2.EmbeddingBatch, sent: float) -> None:
        """Count an answer to what was sent at that time."""
        now = time.monotonic()
        self.latencies_s.append(now - sent)
        self.service_s = now - (self.began or sent)
        self.queued_s.append(seconds_of(batch.timing.queue_duration))
        self.tokens += sum(each.token_count for each in batch.embeddings)
        self.truncated += sum(each.truncated for each in batch.embeddings)


@dataclass(frozen=True, slots=True)
class Pass:
    """Rounds under one load."""

    load: Load
    rounds: Sequence[Round]
    cost: Cost
    """Of the service in all rounds."""

    @property
    def failures(self) -> list[str]:
        """Why streams failed."""
        return [reason for each in self.rounds for reason in each.failures]

    @property
    def seconds(self) -> float:
        """That the service was at work."""
        return sum(each.service_s for each in self.rounds)

    def rate(self, amount: float) -> float | None:
        """Of something in a second, over all rounds; None when one failed."""
        return amount / self.seconds if self.seconds and not self.failures else None

    @property
    def direct_ratio(self) -> float | None:
        """Throughput through the service divided by the model's called directly: the median over the rounds."""
        ratios = [each.direct.taken_s / each.service_s for each in self.rounds if each.direct and each.service_s]
        return statistics.median(ratios) if ratios and not self.failures else None

    @property
    def direct_rates(self) -> Figures:
        """Throughput and CPU of the model called directly."""
        told = [(each.texts, each.direct) for each in self.rounds if each.direct is not None]
        if not told:
            return {"direct_texts_per_s": None, "direct_cpu_s_per_text": None}
        texts = sum(count for count, _ in told)
        taken_s, cpu_s = (sum(values) for values in zip(*((cost.taken_s, cost.cpu_s) for _, cost in told), strict=True))
        return {"direct_texts_per_s": texts / taken_s, "direct_cpu_s_per_text": cpu_s / texts}


@dataclass(slots=True)
class Quality:
    """What the vectors are worth; None is not measured."""

    batch_difference: float | None = None
    """Largest difference of a value between a text alone and among others."""
    batch_cosine: float | None = None
    """Least cosine of the same two."""
    recall_at_1: float | None = None
    int8_recall_at_1: float | None = None
    int8_agreement: float | None = None
    """Share of queries for which int8 finds the same document nearest as floats do."""
    binary_recall_at_1: float | None = None
    binary_agreement: float | None = None


@dataclass(slots=True)
class EmbedOutcome(TargetOutcome):
    """What was found of one embedding service."""

    dimensions: int = 0
    direct_problem: str = ""
    """Why the model was not called directly; empty when it was."""
    quality: Quality = field(default_factory=Quality)
    passes: list[Pass] = field(default_factory=list[Pass])

    @property
    def figures(self) -> Figures:
        """Those that are not of one pass."""
        quality = self.quality
        return {
            **self.load_figures,
            "batch_difference": quality.batch_difference,
            "batch_cosine": quality.batch_cosine,
            "recall_at_1": quality.recall_at_1,
            "int8_recall_at_1": quality.int8_recall_at_1,
            "int8_agreement": quality.int8_agreement,
            "binary_recall_at_1": quality.binary_recall_at_1,
            "binary_agreement": quality.binary_agreement,
        }

    def findings(self) -> Findings:
        """Its figures, for gates."""
        device = self.model.device
        passes = [
            Measured({"streams": each.load.streams, "batch": each.load.batch}, figures(each, device))
            for each in self.passes
        ]
        return Findings(self.name, self.figures, passes)


def figures(each: Pass, device: str) -> Figures:
    """The figures of a pass; `device` is where the model is."""
    cost, texts = each.cost, sum(one.texts for one in each.rounds)
    return {
        "texts_per_s": each.rate(texts),
        "tokens_per_s": each.rate(sum(one.tokens for one in each.rounds)),
        **each.direct_rates,
        "direct_ratio": each.direct_ratio,
        **waits("latency", [value for one in each.rounds for value in one.latencies_s]),
        **waits("queued", [value for one in each.rounds for value in one.queued_s]),
        "failures": len(each.failures),
        "truncated": sum(one.truncated for one in each.rounds),
        "cpu_s_per_text": cost.cpu_s / texts if cost.cpu_s is not None and texts else None,
        "rss_mib": cost.memory.rss_mib,
        "pss_mib": cost.memory.pss_mib,
        "anonymous_mib": cost.memory.anonymous_mib,
        "gpu_mib": cost.memory.gpu_mib,
        "model_gb": cost.memory.model_gb(device),
    }


def metrics() -> list[str]:
    """Names of all figures."""
    return list({**figures(Pass(Load(1, 1), (), Cost()), ""), **EmbedOutcome("").figures})


@dataclass(frozen=True, slots=True)
class Rounds:
    """How often a load is measured, and on what."""

    texts: Iterator[str]
    """Without end."""
    count: int
    least: int
    """Texts of a round, rounded up to whole batches for every stream."""

    def batches(self, load: Load) -> list[list[str]]:
        """Batches of the next round, as many for every stream."""
        each = max(BATCHES_A_STREAM, -(-self.least // (load.streams * load.batch)))
        return [list(islice(self.texts, load.batch)) for _ in range(each * load.streams)]


async def measure(
    server: Server, direct: Direct | None, load: Load, rounds: Rounds, on_round: Callable[[], None]
) -> Pass:
    """Embed some rounds of texts; in every other one the model called directly comes first.

    Args:
        server: the service.
        direct: its model, called directly; None when it cannot be.
        load: how the service is used.
        rounds: how often.
        on_round: called after each.
    """
    found: list[Round] = []
    async with metered(server) as cost:
        for number in range(rounds.count):
            batches = rounds.batches(load)
            found.append(Round(sum(map(len, batches))))
            if direct is not None and number % 2:
                found[-1].direct = await _directly(direct, load, batches)
            await _through_service(server, load, batches, found[-1])
            if direct is not None and not number % 2:
                found[-1].direct = await _directly(direct, load, batches)
            on_round()
    return Pass(load, found, cost)


async def _directly(direct: Direct, load: Load, batches: Sequence[Sequence[str]]) -> DirectCost:
    return await direct.embed([text for batch in batches for text in batch], load.at_once)


async def _through_service(server: Server, load: Load, batches: Sequence[Sequence[str]], found: Round) -> None:
    """Open all streams, then let each take the next batch whenever its own is answered."""
    waiting = deque(batches)
    ready = asyncio.Barrier(load.streams)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(load.streams):
            tasks.create_task(_one_stream(server, waiting, found, ready))


async def _one_stream(server: Server, waiting: deque[Sequence[str]], found: Round, ready: asyncio.Barrier) -> None:
    is_open = False
    try:
        async with server.mesh.embeddings.open(embed_pb2.EmbeddingConfig(), _TIMEOUT_S) as stream:
            is_open = True
            await ready.wait()
            found.begin()
            await _embed_waiting(stream, waiting, found)
    except MeshError as error:
        found.failures.append(str(error))
        if not is_open:
            await ready.wait()


async def _embed_waiting(stream: EmbeddingStream, waiting: deque[Sequence[str]], found: Round) -> None:
    sent = 0.0

    async def requests() -> AsyncGenerator[Request]:
        nonlocal sent
        number = 0
        while waiting:
            answered.clear()
            sent = time.monotonic()
            yield Request(batch=embed_pb2.TextBatch(batch_id=number, texts=waiting.popleft()))
            await answered.wait()
            number += 1

    answered = asyncio.Event()
    async for kind, response in stream.exchange(requests()):
        if kind == "batch":
            found.take(response.batch, sent)
            answered.set()
