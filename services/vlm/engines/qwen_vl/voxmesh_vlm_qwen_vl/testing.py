"""A checkpoint of the real architecture with random weights, a megabyte of them, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, Qwen2TokenizerFast, Qwen3VLConfig, Qwen3VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor

from voxmesh_vlm_qwen_vl.settings import QwenVlSettings

SETTINGS = QwenVlSettings(min_pixels=1024, max_pixels=262_144, max_context_tokens=2048, max_reading_tokens=120)
"""What a small checkpoint is fast enough for."""

MARKS = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"),
    *("<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
)
_WORDS = "system user assistant describe this image these images video seconds bbox_2d text_content"


def write_checkpoint(folder: Path, *, width: int = 64, layers: int = 4, gain: float = 0.08, seed: int = 0) -> Path:
    """Write a model that says nothing sensible, yet always the same of the same pictures.

    Args:
        folder: gets the checkpoint.
        width: of the language model.
        layers: of the language model.
        gain: standard deviation of the weights.
        seed: of the weights.

    Returns:
        The folder.
    """
    tokenizer = write_tokenizer(folder)
    torch.manual_seed(seed)
    model: Any = Qwen3VLForConditionalGeneration(config_of(tokenizer, width, layers, is_tied=False))
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                torch.nn.init.normal_(weight, std=gain)
        # Parts of characters and marks are never the likeliest: what it writes can be read, and does not end early.
        tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
        said = [index for index, token in enumerate(tokens) if token.isascii() and token not in MARKS]
        model.lm_head.weight[[index for index in range(len(model.lm_head.weight)) if index not in said]] = 0
    save(folder, model, tokenizer)
    return folder


def write_tokenizer(folder: Path, text: str = _WORDS, vocabulary: int = 380) -> Any:
    """Write a tokenizer of bytes, some words and the marks of the chat; gives it as the engine loads it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=list(MARKS),
        show_progress=False,
    )
    tokenizer.train_from_iterator([text] * 4, trainer)
    make: Any = Qwen2TokenizerFast
    fast: Any = make(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",  # noqa: S106 # a mark of the chat
        pad_token="<|endoftext|>",  # noqa: S106 # the same
        unk_token=None,
        additional_special_tokens=list(MARKS[1:]),
    )
    fast.save_pretrained(folder)
    return fast


def config_of(
    tokenizer: Any, width: int = 64, layers: int = 4, eyes_width: int = 32, head: int = 16, *, is_tied: bool = True
) -> Qwen3VLConfig:
    """The configuration of a small model with all parts of the large ones."""
    id_of = tokenizer.convert_tokens_to_ids
    text = {
        # As in published models, more than there are tokens.
        "vocab_size": len(tokenizer) + 12,
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": head,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": is_tied,
        "rope_theta": 5e6,
        "rope_scaling": {
            "rope_type": "default",
            "mrope_section": [head // 4, head // 8, head // 8],
            "mrope_interleaved": True,
        },
    }
    eyes = {
        "depth": 4,
        "hidden_size": eyes_width,
        "intermediate_size": 2 * eyes_width,
        "num_heads": 2,
        "patch_size": 16,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "out_hidden_size": width,
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0, 1, 2],
    }
    return Qwen3VLConfig(
        text_config=text,
        vision_config=eyes,
        image_token_id=id_of("<|image_pad|>"),
        video_token_id=id_of("<|video_pad|>"),
        vision_start_token_id=id_of("<|vision_start|>"),
        vision_end_token_id=id_of("<|vision_end|>"),
        tie_word_embeddings=is_tied,
    )


def save(folder: Path, model: Any, tokenizer: Any) -> None:
    """Write model, generation settings and image processor beside the tokenizer."""
    ends, pad = (tokenizer.convert_tokens_to_ids(name) for name in ("<|im_end|>", "<|endoftext|>"))
    model.generation_config = GenerationConfig(eos_token_id=ends, pad_token_id=pad, do_sample=False)
    model.save_pretrained(folder)
    half = [0.5, 0.5, 0.5]
    processor = Qwen2VLImageProcessor(patch_size=16, temporal_patch_size=2, image_mean=half, image_std=half)
    processor.save_pretrained(folder)
