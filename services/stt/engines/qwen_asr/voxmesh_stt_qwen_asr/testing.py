"""Checkpoints of the real architecture with random weights, of any size, for tests and benchmarks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from qwen_asr.core.transformers_backend import Qwen3ASRConfig, Qwen3ASRForConditionalGeneration, Qwen3ASRProcessor


def write_random_checkpoint(
    folder: Path,
    like: Path,
    *,
    width: int = 64,
    layers: int = 2,
    heads: int = 2,
    gain: float = 6.0,
    aligner: bool = False,
    seed: int = 0,
) -> Path:
    """Write a model that says nothing sensible, yet always the same of the same audio.

    Args:
        folder: gets the checkpoint.
        like: checkpoint whose tokenizer and feature extractor it has.
        width: of encoder and decoder.
        layers: of each of them.
        heads: of each of them.
        gain: of the weights; small ones attend to everything alike.
        aligner: whether it is a forced aligner.
        seed: of the weights.

    Returns:
        The folder.
    """
    processor: Any = Qwen3ASRProcessor.from_pretrained(str(like))
    config = json.loads((like / "config.json").read_text())
    _resize(config["thinker_config"], width, layers, heads)
    if aligner:
        timestamp: int = processor.tokenizer.convert_tokens_to_ids("<timestamp>")
        config |= {"timestamp_token_id": timestamp, "timestamp_segment_time": 80, "support_languages": ["English"]}
        config["thinker_config"] |= {"model_type": "qwen3_forced_aligner", "classify_num": 500}
    torch.manual_seed(seed)
    known = Qwen3ASRConfig(**config)
    # The class writes its own type over the aligner's.
    known.thinker_config.model_type = config["thinker_config"]["model_type"]
    model = Qwen3ASRForConditionalGeneration(known)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.mul_(gain)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "generation_config.json").write_text((like / "generation_config.json").read_text())
    return folder


def _resize(thinker: dict[str, Any], width: int, layers: int, heads: int) -> None:
    audio, text = thinker["audio_config"], thinker["text_config"]
    audio |= {"d_model": width, "output_dim": width, "encoder_ffn_dim": 2 * width}
    audio |= {"encoder_layers": layers, "encoder_attention_heads": heads}
    text |= {"hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": layers}
    text |= {"num_attention_heads": heads, "num_key_value_heads": max(1, heads // 2)}
