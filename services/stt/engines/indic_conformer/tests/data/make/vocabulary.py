"""256 tokens for each language: pieces of the trained words, then the rest of its script."""

# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false
# ruff: noqa: S311 # chance hides nothing here
# torch, NeMo and sentencepiece are not in the engine's environment.

from __future__ import annotations

import io
import random
import unicodedata

import sentencepiece
from network import TOKENS
from speech import WORDS

_BLOCKS = {"hi": range(0x0900, 0x0980), "kn": range(0x0C80, 0x0D00)}
_PIECES = 56


def segmenter(language: str) -> sentencepiece.SentencePieceProcessor:
    """Splits words of one language into its first tokens; always the same ones."""
    chance = random.Random(0)
    lines = (" ".join(chance.choices(WORDS[language], k=5)) for _ in range(500))
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=lines,
        model_writer=model,
        vocab_size=_PIECES,
        model_type="bpe",
        character_coverage=1.0,
        bos_id=-1,
        eos_id=-1,
        unk_id=0,
        hard_vocab_limit=False,
        normalization_rule_name="identity",
        num_threads=1,
        minloglevel=2,
    )
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def tokens(language: str) -> list[str]:
    """All tokens in the order of their ids."""
    pieces = segmenter(language)
    known = [pieces.id_to_piece(index) for index in range(pieces.get_piece_size())]
    known += [letter for letter in map(chr, _BLOCKS[language]) if unicodedata.name(letter, "") and letter not in known]
    return (known + [f"<unused {index}>" for index in range(TOKENS)])[:TOKENS]
