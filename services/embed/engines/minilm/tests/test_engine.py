"""What is MiniLM's own: how it groups texts, what it reads of them, and that its vectors mean something."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from voxmesh_embed.engine import EmbeddingEngine, Text
from voxmesh_embed_minilm.files import MODEL
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.engines import load_engine
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_testing.engines import shared

pytestmark = pytest.mark.engine

QUERY = "How can I make my garden grow more tomatoes?"
RANKED = (
    "Tips for a better tomato harvest in your garden.",
    "Tomatoes need sun, water and rich soil.",
    "Roses are cut back in spring.",
    "The kitchen is being repainted.",
    "Interest rates were raised by the central bank.",
)
"""From the nearest to the query to the furthest, as people would say."""


@pytest.fixture
def engine() -> EmbeddingEngine:
    return shared("embed", "minilm")


def test_likeness_ranks_texts_as_people_do(engine: EmbeddingEngine) -> None:
    query, *found = (vector.values for vector in engine.embed([Text(QUERY), *map(Text, RANKED)]))
    likeness = [float(query @ values) for values in found]
    ranks = np.argsort(np.argsort(likeness)[::-1])
    assert np.corrcoef(ranks, np.arange(len(RANKED)))[0, 1] >= 0.7
    assert ranks[0] == 0


def test_what_follows_the_254th_token_makes_no_difference(engine: EmbeddingEngine) -> None:
    ends = ("about cats", "about dogs and much else")
    first, second = engine.embed([Text("word " * 254 + end) for end in ends])
    short = engine.embed([Text("word " * 254)])[0]
    assert first.truncated
    assert second.truncated
    assert not short.truncated
    assert np.allclose(first.values, second.values, atol=1e-5)
    assert np.allclose(first.values, short.values, atol=1e-5)


def test_padding_makes_no_difference(engine: EmbeddingEngine) -> None:
    texts = [Text("word " * count) for count in (9, 10, 11, 12)]
    together = engine.embed(texts)
    alone = [engine.embed([text])[0] for text in texts]
    assert all(np.allclose(a.values, b.values, atol=1e-5) for a, b in zip(together, alone, strict=True))


def test_the_models_own_marks_in_a_text_are_only_characters(engine: EmbeddingEngine) -> None:
    (vector,) = engine.embed([Text("[SEP]")])
    assert vector.token_count == 3


def test_a_model_named_by_its_own_name_is_the_default_one() -> None:
    assert load_engine("embed", "minilm")(EngineContext(model=MODEL)).info.facts.model == MODEL


def test_a_folder_without_the_models_files_is_refused_by_name(tmp_path: Path) -> None:
    engine = load_engine("embed", "minilm")(EngineContext(model=str(tmp_path), cache_dir=tmp_path))
    with pytest.raises(FailedPrecondition, match=r"model\.onnx"):
        engine.load()


@pytest.mark.parametrize("model", ["", "wheel:nonsense", f"wheel:a==1/b.onnx#sha256={'0' * 64}"])
def test_a_model_that_is_no_folder_is_refused(model: str) -> None:
    with pytest.raises(FailedPrecondition):
        load_engine("embed", "minilm")(EngineContext(model=model))
