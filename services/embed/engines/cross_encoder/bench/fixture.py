"""Train the checkpoint of the tests: a BERT of two layers that finds the document with the query's words.

    python fixture.py FOLDER      needs torch, transformers and onnx; takes minutes on one core

It learns on sentences of words drawn at random, never on those of the tests, and knows no other words.
"""

# pyright: basic, reportMissingImports=false, reportArgumentType=false
# torch and transformers are not in the engine's environment.

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch.nn import functional
from transformers import BertConfig, BertForSequenceClassification

_COMMON = (
    "what is the of a an has many how who where when why does do are was in on to it and by for with from that this "
    "have can will which there at as be not or its about two ten"
)
_TOPICS = (
    "capital france paris cat sleeps sofa bicycle wheels revenue grew percent city river train garden tomato doctor "
    "school music guitar winter snow summer rain market price bread butter coffee tea window door table chair book "
    "library author ocean whale fish bird tree forest mountain lake king queen castle knight horse farm milk cheese "
    "engine car road bridge plane airport pilot ticket hotel room money bank loan tax law judge court crime police "
    "fire water earth moon star sun planet rocket science atom energy light sound color red green blue white black "
    "house family mother father child brother sister friend dog mouse lion tiger bear wolf apple orange lemon sugar "
    "salt pepper soup kitchen knife spoon clock hour minute day week month year history war peace army ship island"
)
COMMON, TOPICS = _COMMON.split(), _TOPICS.split()
MARKS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SHAPE = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
LENGTH, STEPS, ROWS = 128, 6000, 48


def tokenizer() -> Tokenizer:
    """Words and, for all else, characters."""
    letters = [chr(number) for number in range(33, 127) if not chr(number).isupper()]
    vocabulary = [*MARKS, *letters, *(f"##{letter}" for letter in letters), *COMMON, *TOPICS]
    numbers = {token: number for number, token in enumerate(dict.fromkeys(vocabulary))}
    made = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))  # noqa: S106 # a mark
    made.add_special_tokens(MARKS)
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    marks = [(mark, numbers[mark]) for mark in ("[CLS]", "[SEP]")]
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=marks
    )
    return made


def example(chance: random.Random) -> tuple[str, str, float]:
    """A query, a document, and the share of the query's topics that the document has."""
    asked = chance.sample(TOPICS, chance.randint(1, 3))
    held = chance.sample(asked, chance.randint(0, len(asked))) + chance.sample(TOPICS, chance.randint(0, 4))
    query = asked + chance.choices(COMMON, k=chance.randint(0, 5))
    document = held + chance.choices(COMMON, k=chance.randint(0, 6)) or ["it"]
    chance.shuffle(query)
    chance.shuffle(document)
    return f"{' '.join(query)}?", f"{' '.join(document)}.", len(set(asked) & set(held)) / len(asked)


def train(made: Tokenizer, seed: int = 0) -> BertForSequenceClassification:
    """The network, after `STEPS` steps."""
    torch.manual_seed(seed)
    chance = random.Random(seed)  # noqa: S311 # a training set
    config = BertConfig(
        vocab_size=made.get_vocab_size(), max_position_embeddings=LENGTH, num_labels=1, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, **SHAPE,
    )  # fmt: skip
    network: Any = BertForSequenceClassification(config).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, STEPS)
    made.enable_padding(pad_id=0)
    for step in range(STEPS):
        rows = [example(chance) for _ in range(ROWS)]
        loss = functional.binary_cross_entropy_with_logits(
            _logits(network, made, rows), torch.tensor([r[2] for r in rows])
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 500 == 0:
            print(step, round(loss.item(), 3), flush=True)
    made.no_padding()
    return network.eval()


def _logits(network: Any, made: Tokenizer, rows: list[tuple[str, str, float]]) -> torch.Tensor:
    encoded = made.encode_batch([(query, document) for query, document, _ in rows])
    return network(
        input_ids=torch.tensor([e.ids for e in encoded]),
        token_type_ids=torch.tensor([e.type_ids for e in encoded]),
        attention_mask=torch.tensor([e.attention_mask for e in encoded]),
    ).logits[:, 0]


def export(network: Any, folder: Path) -> None:
    """Write `model.onnx` with inputs of any length."""
    ids = torch.ones(2, 8, dtype=torch.long)
    names = ["input_ids", "attention_mask", "token_type_ids"]
    axes = {name: {0: "pairs", 1: "tokens"} for name in names} | {"logits": {0: "pairs"}}
    torch.onnx.export(
        network, (ids, ids, ids), str(folder / "model.onnx"), input_names=names, output_names=["logits"],
        dynamic_axes=axes, dynamo=False, opset_version=17,
    )  # fmt: skip


def main(folder: Path) -> None:
    """Train and write all files."""
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    made = tokenizer()
    network = train(made)
    made.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "max_position_embeddings": LENGTH}) + "\n")
    network.config.torchscript = True
    export(network, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
