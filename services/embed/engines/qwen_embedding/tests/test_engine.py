"""What is Qwen3-Embedding's own: the published recipe, instructions, lengths, numbers and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import AutoModel, AutoTokenizer

from voxmesh_embed.engine import Kind, Text, Values
from voxmesh_embed_qwen_embedding.engine import PUBLISHED, QwenEmbeddingEngine
from voxmesh_embed_qwen_embedding.settings import QwenEmbeddingSettings
from voxmesh_embed_qwen_embedding.testing import END, IM_END, THINK, write_random_checkpoint
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import FailedPrecondition

pytestmark = pytest.mark.engine

TASK = "Given a web search query, retrieve relevant passages that answer the query"


def by_the_recipe(checkpoint: Path, text: str) -> Values:
    """The vector as the model's card computes it, with the library's own padding and end token."""
    tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint, padding_side="left")
    model: Any = AutoModel.from_pretrained(checkpoint).eval()
    batch = tokenizer([text, "padding in front of it " * 20], padding=True, truncation=True, return_tensors="pt")
    with torch.inference_mode():
        return functional.normalize(model(**batch).last_hidden_state[:, -1], dim=1)[0].numpy()


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (Text("the cat"), "the cat"),
        (Text("the cat", Kind.QUERY), f"Instruct: {TASK}\nQuery:the cat"),
        (Text("(the cat)", Kind.QUERY, "Find animals."), "Instruct: Find animals.\nQuery:(the cat)"),
        (Text("ಬೆಕ್ಕು"), "ಬೆಕ್ಕು"),
    ],
    ids=["document", "query", "query with an instruction", "Kannada"],
)
def test_vectors_are_those_of_the_published_recipe(
    engine: QwenEmbeddingEngine, checkpoint: Path, text: Text, written: str
) -> None:
    (vector,) = engine.embed([text])
    assert np.allclose(vector.values, by_the_recipe(checkpoint, written), atol=1e-5)


def test_only_the_texts_own_tokens_are_counted(engine: QwenEmbeddingEngine) -> None:
    document, query = engine.embed([Text("the cat"), Text("the cat", Kind.QUERY, "Find.")])
    assert abs(document.token_count - query.token_count) <= 1


def test_an_operator_may_have_queries_read_like_documents(checkpoint: Path) -> None:
    plain = QwenEmbeddingEngine(EngineContext(model=str(checkpoint)), QwenEmbeddingSettings(instruction=""))
    plain.load()
    document, query = plain.embed([Text("the cat"), Text("the cat", Kind.QUERY)])
    assert np.allclose(document.values, query.values, atol=1e-6)


@pytest.mark.parametrize("mark", [END, IM_END, THINK])
def test_the_models_own_marks_in_a_text_are_only_characters(engine: QwenEmbeddingEngine, mark: str) -> None:
    (vector,) = engine.embed([Text(f"a{mark}b")])
    assert vector.token_count > 4


def test_what_is_beyond_the_longest_text_makes_no_difference(engine: QwenEmbeddingEngine) -> None:
    first, second = engine.embed([Text("word " * 2000 + end) for end in ("about cats", "about dogs and much else")])
    assert (first.truncated, first.token_count) == (True, engine.info.max_tokens)
    assert np.allclose(first.values, second.values, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_smaller_numbers_give_nearly_the_same(engine: QwenEmbeddingEngine, checkpoint: Path, dtype: Any) -> None:
    small = QwenEmbeddingEngine(EngineContext(model=str(checkpoint)), QwenEmbeddingSettings(dtype=dtype))
    small.load()
    text = [Text("the cat sleeps on a sofa")]
    # Random weights multiply what rounding does; a trained network loses far less.
    assert engine.embed(text)[0].values @ small.embed(text)[0].values > 0.9


def test_the_operator_may_cut_texts_sooner(checkpoint: Path) -> None:
    short = QwenEmbeddingEngine(EngineContext(model=str(checkpoint)), QwenEmbeddingSettings(max_tokens=64))
    short.load()
    assert short.info.max_tokens == 63
    assert short.embed([Text("word " * 100)])[0].truncated


def test_a_model_that_was_closed_is_loaded_again(checkpoint: Path) -> None:
    again = QwenEmbeddingEngine(EngineContext(model=str(checkpoint)), QwenEmbeddingSettings())
    again.load()
    (before,) = again.embed([Text("the cat")])
    again.close()
    with pytest.raises(RuntimeError):
        again.embed([Text("the cat")])
    again.load()
    assert np.array_equal(again.embed([Text("the cat")])[0].values, before.values)


@pytest.mark.parametrize("name", PUBLISHED.names)
def test_published_models_are_known_by_name(name: str) -> None:
    facts = QwenEmbeddingEngine(EngineContext(model=name), QwenEmbeddingSettings()).info.facts
    assert (facts.model, facts.license) == (name, "Apache-2.0")


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    folder = write_random_checkpoint(tmp_path / "model")
    (folder / "tokenizer.json").write_text("{}")
    engine = QwenEmbeddingEngine(EngineContext(model=str(folder)), QwenEmbeddingSettings())
    with pytest.raises(FailedPrecondition, match="Qwen3-Embedding"):
        engine.load()
