"""Checkpoints of the real architecture with random weights, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import Qwen2TokenizerFast, Qwen3Config, Qwen3ForCausalLM

END, IM_START, IM_END, THINK, THOUGHT = "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"
_WORDS = "yes no the capital of France word longer document Instruct Query Document system user assistant why"


def write_random_checkpoint(folder: Path, *, max_tokens: int = 512, seed: int = 0) -> Path:
    """Write a model that means nothing, yet gives pairs that differ different scores; returns the folder."""
    tokenizer = _tokenizer()
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=max_tokens,
        tie_word_embeddings=True,
    )
    torch.manual_seed(seed)
    model = Qwen3ForCausalLM(config)
    with torch.no_grad():
        for weight in model.parameters():
            # Small weights attend to all alike.
            weight.mul_(1 if weight.ndim == 1 else 5)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _tokenizer() -> Qwen2TokenizerFast:
    """Bytes and a few words, among them the answers, each with and without a space before it."""
    bytes_ = Tokenizer(models.BPE())
    bytes_.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=340,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[END, IM_START, IM_END],
        show_progress=False,
    )
    bytes_.train_from_iterator([_WORDS, "yes", "no"] * 4, trainer)
    options: dict[str, Any] = {"eos_token": IM_END, "pad_token": END, "unk_token": None, "padding_side": "left"}
    tokenizer = Qwen2TokenizerFast(tokenizer_object=bytes_, **options)
    tokenizer.add_tokens([THINK, THOUGHT])
    return tokenizer
