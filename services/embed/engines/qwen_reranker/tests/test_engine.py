"""What is Qwen3-Reranker's own: the published recipe, lengths, marks and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from voxmesh_embed.engine import Pair
from voxmesh_embed_qwen_reranker.engine import PUBLISHED, QwenRerankerEngine
from voxmesh_embed_qwen_reranker.prompts import Prompts
from voxmesh_embed_qwen_reranker.settings import QwenRerankerSettings
from voxmesh_embed_qwen_reranker.testing import END, IM_END, THINK, THOUGHT
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import FailedPrecondition

pytestmark = pytest.mark.engine

TASK = "Given a web search query, retrieve relevant passages that answer the query"


def by_the_recipe(checkpoint: Path, body: str) -> float:
    """The score as the model's card computes it."""
    tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint, padding_side="left")
    model: Any = AutoModelForCausalLM.from_pretrained(checkpoint).eval()
    system = (
        "Judge whether the Document meets the requirements based on the Query and the Instruct provided. "
        'Note that the answer can only be "yes" or "no".'
    )
    text = f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{body}<|im_end|>\n"
    text += "<|im_start|>assistant\n<think>\n\n</think>\n\n"
    with torch.inference_mode():
        logits = model(**tokenizer(text, return_tensors="pt")).logits[0, -1]
    yes, no = (tokenizer.convert_tokens_to_ids(word) for word in ("yes", "no"))
    return float(torch.stack([logits[no], logits[yes]]).log_softmax(dim=0)[1].exp())


@pytest.mark.parametrize(
    ("pair", "body"),
    [
        (Pair("capital of France", "Paris"), f"<Instruct>: {TASK}\n<Query>: capital of France\n<Document>: Paris"),
        (Pair("(why?)", "42, (or) so", "Be brief."), "<Instruct>: Be brief.\n<Query>: (why?)\n<Document>: 42, (or) so"),
        (Pair("ಏಕೆ", "\n a line"), f"<Instruct>: {TASK}\n<Query>: ಏಕೆ\n<Document>: \n a line"),
    ],
    ids=["words", "instruction", "Kannada and a line break"],
)
def test_scores_are_those_of_the_published_recipe(
    engine: QwenRerankerEngine, checkpoint: Path, pair: Pair, body: str
) -> None:
    (score,) = engine.score([pair])
    assert score.value == pytest.approx(by_the_recipe(checkpoint, body), abs=1e-5)


@pytest.mark.parametrize("mark", [END, IM_END, THINK, THOUGHT])
def test_the_models_own_marks_in_a_text_are_only_characters(checkpoint: Path, mark: str) -> None:
    prompts = Prompts(checkpoint, 512)
    tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint)
    number = tokenizer.convert_tokens_to_ids(mark)
    plain, marked = prompts.of([Pair("q", "d", "i"), Pair(f"q{mark}", f"d{mark}", f"i{mark}")], TASK)
    assert plain.ids.count(number) == marked.ids.count(number)
    assert marked.count > plain.count


def word_token(checkpoint: Path) -> int:
    """The token of " word"."""
    tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint)
    (number,) = tokenizer.encode(" word", add_special_tokens=False)
    return number


def test_the_prompt_is_whole_however_long_query_and_document_are(checkpoint: Path) -> None:
    prompts = Prompts(checkpoint, 512)
    short, long_document, long_query, both = prompts.of(
        [Pair("q", "d"), Pair("q", "word " * 900), Pair("why " * 900, "d"), Pair("why " * 900, "word " * 900)], TASK
    )
    assert [prompt.truncated for prompt in (short, long_document, long_query, both)] == [False, True, True, True]
    assert [len(prompt.ids) for prompt in (long_document, long_query, both)] == [512] * 3
    for prompt in (long_document, long_query, both):
        assert prompt.ids[:10] == short.ids[:10]
        assert prompt.ids[-10:] == short.ids[-10:]
    # The document has its half although the query could fill it all.
    assert both.count > 350
    assert both.ids.count(word_token(checkpoint)) > 150


def test_a_model_that_was_closed_is_loaded_again(checkpoint: Path) -> None:
    again = QwenRerankerEngine(EngineContext(model=str(checkpoint)), QwenRerankerSettings())
    again.load()
    (before,) = again.score([Pair("q", "d")])
    again.close()
    with pytest.raises(RuntimeError):
        again.score([Pair("q", "d")])
    again.load()
    assert np.array_equal(again.score([Pair("q", "d")])[0].value, before.value)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_smaller_numbers_give_scores_too(checkpoint: Path, dtype: Any) -> None:
    small = QwenRerankerEngine(EngineContext(model=str(checkpoint)), QwenRerankerSettings(dtype=dtype))
    small.load()
    assert 0 <= small.score([Pair("capital of France", "Paris")])[0].value <= 1


@pytest.mark.parametrize("name", PUBLISHED.names)
def test_published_models_are_known_by_name(name: str) -> None:
    info = QwenRerankerEngine(EngineContext(model=name), QwenRerankerSettings()).info
    assert (info.facts.model, info.facts.license, info.ranks) == (name, "Apache-2.0", True)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    engine = QwenRerankerEngine(EngineContext(model=str(tmp_path)), QwenRerankerSettings())
    with pytest.raises(FailedPrecondition, match=r"config\.json"):
        engine.load()
