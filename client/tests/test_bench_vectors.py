"""What `voxmesh bench embed` makes of vectors and of the rounds in which it got them."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import numpy as np
import pytest

from voxmesh_client.bench.gate_file import read_gates
from voxmesh_client.bench.machine import Machine, load
from voxmesh_client.bench.metering import Cost
from voxmesh_client.bench.problems import BenchUsage
from voxmesh_client.bench.server import Limits
from voxmesh_client.bench.vectors.checks import (
    agreement_at_1,
    binary_vectors,
    cosines,
    int8_vectors,
    largest_difference,
    least_cosine,
    recall_at_1,
)
from voxmesh_client.bench.vectors.direct import DirectCost
from voxmesh_client.bench.vectors.pair_file import read_pairs
from voxmesh_client.bench.vectors.passes import (
    BATCHES_A_STREAM,
    EmbedOutcome,
    Load,
    Pass,
    Quality,
    Round,
    Rounds,
    figures,
    metrics,
)
from voxmesh_client.bench.vectors.report import embed_report
from voxmesh_client.bench.vectors.runner import Plan, Run
from voxmesh_client.bench.verdicts import Verdict, judge

pytestmark = pytest.mark.unit

QUERIES = np.array([[1, 0, 0.1], [0, 1, 0], [0.1, 0, 1]], np.float32)


def test_a_query_is_right_when_its_own_document_is_the_nearest() -> None:
    assert recall_at_1(cosines(QUERIES, QUERIES)) == 1.0
    assert recall_at_1(cosines(QUERIES, QUERIES[[1, 0, 2]])) == pytest.approx(1 / 3)
    assert recall_at_1(cosines(QUERIES, 5 * QUERIES)) == 1.0  # length does not matter
    assert not np.isnan(cosines(QUERIES, np.zeros_like(QUERIES))).any()


def test_encodings_are_compared_by_what_they_find() -> None:
    packed = [bytes([127, 0, 13]), bytes([0, 127, 0]), bytes([13, 0, 256 - 127])]
    scores = cosines(int8_vectors(packed), QUERIES)
    assert agreement_at_1(scores, cosines(QUERIES, QUERIES)) == pytest.approx(2 / 3)
    assert int8_vectors(packed)[2].tolist() == [13, 0, -127]
    assert binary_vectors([bytes([0b10100000])])[0, :4].tolist() == [1, -1, 1, -1]


def test_a_text_alone_and_among_others() -> None:
    other = QUERIES + np.array([[0, 0, 0], [0, 0.25, 0], [0, 0, 0]], np.float32)
    assert largest_difference(QUERIES, other) == pytest.approx(0.25)
    assert least_cosine(QUERIES, other) == pytest.approx(1.0)
    assert least_cosine(QUERIES, -QUERIES) == pytest.approx(-1.0)


def test_pairs_that_ship_are_apart_from_each_other_and_make_texts_without_end() -> None:
    pairs = read_pairs("en")
    assert len({*pairs.queries, *pairs.documents}) == 2 * len(pairs.pairs) >= 60
    texts = [text for _, text in zip(range(500), pairs.texts(), strict=False)]
    assert len(set(texts)) == 500
    assert max(map(len, texts)) > 5 * min(map(len, texts))


def test_pairs_that_are_wrong_are_told(tmp_path: Path) -> None:
    path = tmp_path / "pairs.toml"
    path.write_text('[[pairs]]\nquery = "a"\n')
    with pytest.raises(BenchUsage, match=r"pairs.0.document: Field required"):
        read_pairs(str(path))
    with pytest.raises(BenchUsage, match="give a file or one of: en"):
        read_pairs("none")


@pytest.mark.parametrize(
    ("streams", "batch", "least", "batches"),
    [(1, 1, 10, 10), (8, 1, 10, 8 * BATCHES_A_STREAM), (2, 16, 256, 16), (3, 4, 100, 27)],
)
def test_a_round_has_as_many_whole_batches_for_every_stream(streams: int, batch: int, least: int, batches: int) -> None:
    made = Rounds(map(str, count()), 1, least).batches(Load(streams, batch))
    assert [len(each) for each in made] == [batch] * batches


def pass_of(*rounds: Round, streams: int = 32) -> Pass:
    return Pass(Load(streams, 1), rounds, Cost(taken_s=9.0, cpu_s=3.0))


def round_of(service_s: float, direct_s: float | None, *failures: str) -> Round:
    direct = None if direct_s is None else DirectCost(direct_s, direct_s)
    return Round(100, service_s, direct, 1000, 2, [0.1, 0.3], [0.05, 0.05], list(failures))


def test_the_ratio_to_the_model_is_the_median_over_rounds() -> None:
    told = figures(pass_of(round_of(1.0, 0.9), round_of(4.0, 1.0), round_of(2.0, 2.0)), "cpu")
    assert told["direct_ratio"] == pytest.approx(0.9)
    assert told["texts_per_s"] == pytest.approx(300 / 7)
    assert told["tokens_per_s"] == pytest.approx(3000 / 7)
    assert told["direct_texts_per_s"] == pytest.approx(300 / 3.9)
    assert told["cpu_s_per_text"] == pytest.approx(0.01)
    assert told["direct_cpu_s_per_text"] == pytest.approx(0.013)
    assert (told["truncated"], told["failures"]) == (6, 0)
    assert told["latency_p50_s"] == pytest.approx(0.2)


def test_a_round_that_failed_leaves_no_throughput() -> None:
    told = figures(pass_of(round_of(1.0, None), round_of(1.0, None, "embed: full")), "cpu")
    assert (told["texts_per_s"], told["direct_ratio"], told["direct_texts_per_s"]) == (None, None, None)
    assert told["failures"] == 1


def test_a_report_has_the_ratio_and_the_gates_that_ship_judge_it(tmp_path: Path) -> None:
    quality = Quality(1e-7, 1.0, 0.9, 0.9, 1.0, 0.8, 0.85)
    good = EmbedOutcome("good", dimensions=384, quality=quality)
    good.passes = [pass_of(round_of(1.0, 0.96)), pass_of(round_of(1.0, 0.5), streams=1)]
    slow = EmbedOutcome("slow", quality=quality, passes=[pass_of(round_of(1.0, 0.5, "embed: gone"))])
    outcomes = [good, slow, EmbedOutcome("none", problem="it ranks")]
    plan = Plan(read_pairs("en"), [Load(32, 1)], 1, 100, True, "good", Limits())
    gates = read_gates("embed", metrics())
    judgements = judge([each.findings() for each in outcomes], "good", gates)
    assert [each.verdict for each in judgements] == [Verdict.CONDITIONAL, Verdict.NO_GO, Verdict.NO_GO]
    report = embed_report(Run(Machine.now(load()), plan, outcomes), judgements, gates)
    assert list(report.wrong) == [
        "slow, 32 streams, batches of 1: 1 of 32 streams failed: embed: gone",
        "none: it ranks",
    ]
    markdown, _, plot = report.write(tmp_path)
    assert "| good | 32 | 1 | 100.0 | 1000 | 104.2 | 0.960 |" in markdown.read_text()
    assert "| good | 384 | 1.0e-07 | 1.00000 | 90.0 | 90.0 | 100.0 | 80.0 | 85.0 |" in markdown.read_text()
    assert plot.read_bytes().startswith(b"\x89PNG")
