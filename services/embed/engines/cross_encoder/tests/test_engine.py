"""What is the cross-encoders' own: how pairs are put together, what counts as a score, and which files are taken."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from voxmesh_embed.engine import Pair
from voxmesh_embed_cross_encoder.engine import PUBLISHED, CrossEncoder
from voxmesh_embed_cross_encoder.network import NotOneScore, score_of
from voxmesh_embed_cross_encoder.pairs import Pairs
from voxmesh_embed_cross_encoder.settings import CrossEncoderSettings
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import FailedPrecondition

pytestmark = pytest.mark.engine

DATA = Path(__file__).parent / "data"
CASES = (
    ("How many wheels has a bicycle?", ("A castle on a lake.", "The bicycle has two wheels.", "How many is it?")),
    ("winter snow", ("summer rain and sun", "the doctor was in school", "a mountain in winter with snow")),
    ("Which bank lends money?", ("Money from the bank.", "Which is it?", "A tiger and a lion.")),
    ("who was king of the island", ("who was it", "the king was on the island", "queen of the castle")),
)
BEST = (1, 2, 0, 1)


@pytest.mark.parametrize(("case", "best"), list(zip(CASES, BEST, strict=True)))
def test_the_document_with_the_querys_words_is_the_best(
    engine: CrossEncoder, case: tuple[str, tuple[str, ...]], best: int
) -> None:
    query, documents = case
    values = [score.value for score in engine.score([Pair(query, document) for document in documents])]
    assert int(np.argmax(values)) == best


def test_pairs_are_put_together_as_the_tokenizer_does_it() -> None:
    (read,) = Pairs(DATA / "tokenizer.json", 128).read([Pair("what is snow?", "snow is white")])
    expected = Tokenizer.from_file(str(DATA / "tokenizer.json")).encode("what is snow?", "snow is white")
    assert (list(read.ids), list(read.type_ids)) == (expected.ids, expected.type_ids)
    assert (read.count, read.truncated) == (7, False)


def token(text: str) -> int:
    """The number of a text that is one token."""
    number = Tokenizer.from_file(str(DATA / "tokenizer.json")).token_to_id(text)
    assert number is not None
    return number


def test_marks_in_a_text_are_only_characters() -> None:
    (read,) = Pairs(DATA / "tokenizer.json", 128).read([Pair("[SEP]", "[CLS] [MASK]")])
    assert [read.ids.count(token(mark)) for mark in ("[CLS]", "[SEP]", "[MASK]")] == [1, 2, 0]


@pytest.mark.parametrize(
    ("query", "document", "lengths", "truncated"),
    [(10, 10, (10, 10), 0), (10, 500, (10, 115), 1), (500, 10, (115, 10), 1), (500, 500, (62, 63), 1)],
)
def test_the_end_is_left_out_and_the_document_has_its_half(
    query: int, document: int, lengths: tuple[int, int], *, truncated: bool
) -> None:
    (read,) = Pairs(DATA / "tokenizer.json", 128).read([Pair("snow " * query, "rain " * document)])
    counts = tuple(read.ids.count(token(word)) for word in ("snow", "rain"))
    assert (counts, read.truncated) == (lengths, truncated)


def test_one_text_in_several_pairs_is_cut_for_each_apart() -> None:
    long = "snow " * 500
    first, second = Pairs(DATA / "tokenizer.json", 128).read([Pair(long, long), Pair("rain", long)])
    assert (first.count, second.count) == (125, 125)
    assert second.truncated


@pytest.mark.parametrize(
    ("logits", "scores"),
    [
        ([[0.0], [1e4], [-1e4]], [0.5, 1.0, 0.0]),
        ([[0.0, 0.0], [1.0, 3.0]], [0.5, 1 / (1 + np.exp(-2.0))]),
    ],
)
def test_logits_become_scores(logits: list[list[float]], scores: list[float]) -> None:
    assert score_of(np.array(logits)) == pytest.approx(scores)


@pytest.mark.parametrize("shape", [(2, 3), (2,), (2, 5, 384)])
def test_a_network_that_gives_something_else_is_none(shape: tuple[int, ...]) -> None:
    with pytest.raises(NotOneScore):
        score_of(np.zeros(shape))


def test_a_model_that_was_closed_is_loaded_again() -> None:
    again = CrossEncoder(EngineContext(model=str(DATA)), CrossEncoderSettings())
    again.load()
    (before,) = again.score([Pair("snow", "rain")])
    again.close()
    with pytest.raises(RuntimeError):
        again.score([Pair("snow", "rain")])
    again.load()
    assert again.score([Pair("snow", "rain")])[0].value == before.value


def test_the_networks_own_length_bounds_the_operators(engine: CrossEncoder) -> None:
    assert engine.info.max_tokens == 125


def test_the_folder_may_be_laid_out_as_on_the_hub(tmp_path: Path) -> None:
    (tmp_path / "onnx").mkdir()
    shutil.copy(DATA / "model.onnx", tmp_path / "onnx" / "model.onnx")
    shutil.copy(DATA / "tokenizer.json", tmp_path)
    found = CrossEncoder(EngineContext(model=str(tmp_path)), CrossEncoderSettings(max_tokens=100))
    found.load()
    assert found.info.max_tokens == 97


@pytest.mark.parametrize(
    ("files", "problem"),
    [({}, r"tokenizer\.json"), ({"tokenizer.json": None}, r"model\.onnx"), ({"tokenizer.json": "{}"}, "cross-encoder")],
    ids=["empty", "no network", "damaged"],
)
def test_a_folder_without_a_cross_encoder_is_refused(
    tmp_path: Path, files: dict[str, str | None], problem: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text((DATA / name).read_text() if text is None else text)
    with pytest.raises(FailedPrecondition, match=problem):
        CrossEncoder(EngineContext(model=str(tmp_path)), CrossEncoderSettings()).load()


@pytest.mark.parametrize("name", PUBLISHED.names)
def test_published_models_are_known_by_name(name: str) -> None:
    info = CrossEncoder(EngineContext(model=name), CrossEncoderSettings()).info
    assert (info.facts.model, info.facts.license, info.ranks) == (name, "Apache-2.0", True)
