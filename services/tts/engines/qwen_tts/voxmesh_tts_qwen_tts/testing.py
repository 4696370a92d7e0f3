"""Checkpoints of the real architecture with random weights, 1 MB each, for tests: they speak noise, but of any text."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import EncodecFeatureExtractor, Qwen2TokenizerFast

from voxmesh_runtime.audio import Samples
from voxmesh_tts_qwen_tts.library import quiet
from voxmesh_tts_qwen_tts.settings import QwenTtsSettings

# After `library`, which imports the package without what it lacks.
_models: Any = import_module("qwen_tts.core.models")
_codec: Any = import_module("qwen_tts.core.tokenizer_12hz.modeling_qwen3_tts_tokenizer_v2")

SHORT = QwenTtsSettings(max_frames_per_token=1, max_extra_frames=6, max_clause_s=4)
"""Random weights seldom end by themselves: what they say is as long as their text allows."""
TEXTS = ("Paris is the capital of France. No, it is not.",)
"""Their words are one token each."""
GROUPS = 4
"""Codes of a frame."""
_CODES = 64
"""Numbers that a code can have; special ids follow, and the vocabulary ends 1024 behind the codes."""
_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tts_pad>", "<tts_text_bos>", "<tts_text_eod>")
_SPEAKER_ENCODER = {
    "enc_dim": 32,
    "enc_channels": [16, 16, 16, 16, 48],
    "enc_attention_channels": 8,
    "enc_res2net_scale": 4,
    "enc_se_channels": 8,
}
_LOUDNESS = 0.1
"""Root mean square of what the codec makes of random codes."""
_ATTENTION = {"num_attention_heads": 2, "head_dim": 16}
_SMALL = {"hidden_size": 32, "intermediate_size": 64, **_ATTENTION}
_GENERATION = {
    "do_sample": True,
    "top_k": 50,
    "top_p": 1.0,
    "temperature": 0.9,
    "repetition_penalty": 1.05,
    "subtalker_dosample": True,
    "subtalker_top_k": 50,
    "subtalker_top_p": 1.0,
    "subtalker_temperature": 0.9,
    "max_new_tokens": 64,
}


def recording(hertz: int = 220, seconds: float = 2.0, sample_rate_hertz: int = 24000) -> Samples:
    """A tone that swells and ebbs, which stands for a person who speaks."""
    at = np.arange(round(seconds * sample_rate_hertz)) / sample_rate_hertz
    return (np.sin(2 * np.pi * hertz * at) * (0.3 + 0.2 * np.sin(20 * at))).astype(np.float32)


def write_checkpoint(folder: Path, kind: str, *, size: str = "1b7") -> Path:
    """Write a checkpoint in the layout of the published ones.

    Args:
        folder: gets it.
        kind: `tts_model_type`: "custom_voice", "voice_design" or "base".
        size: `tts_model_size`; of "0b6" the package drops instructions.

    Returns:
        The folder.
    """
    tokenizer = _tokenizer()
    torch.manual_seed(0)
    with quiet():
        _write_talker(folder, tokenizer, _config(tokenizer, kind, size))
        _write_codec(folder / "speech_tokenizer")
    (folder / "generation_config.json").write_text(json.dumps(_GENERATION))
    return folder


def _write_talker(folder: Path, tokenizer: Any, described: Any) -> None:
    model = _models.Qwen3TTSForConditionalGeneration(described)
    for weight in model.parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    # Its class takes no other keys than its own, and writes more.
    config = json.loads((folder / "config.json").read_text())
    known = {*_SPEAKER_ENCODER, "mel_dim", "enc_kernel_sizes", "enc_dilations", "sample_rate"}
    config["speaker_encoder_config"] = {k: v for k, v in config["speaker_encoder_config"].items() if k in known}
    (folder / "config.json").write_text(json.dumps(config))


def _tokenizer() -> Any:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    # Prompts are cut by position: these are one token each in the published vocabulary.
    learned = ["assistant", "user", *TEXTS] * 10
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=alphabet, special_tokens=list(_SPECIAL), show_progress=False
    )
    tokenizer.train_from_iterator(learned, trainer)
    pad, _, end = _SPECIAL[:3]
    more = list(_SPECIAL[1:])
    return Qwen2TokenizerFast(
        tokenizer_object=tokenizer, eos_token=end, pad_token=pad, unk_token=pad, additional_special_tokens=more
    )


def _config(tokenizer: Any, kind: str, size: str) -> Any:
    ids = dict(zip(_SPECIAL, tokenizer.convert_tokens_to_ids(list(_SPECIAL)), strict=True))
    predictor = {**_SMALL, "vocab_size": _CODES, "num_hidden_layers": 1, "num_key_value_heads": 1}
    talker = {
        **_SMALL,
        "vocab_size": _CODES + 1024,
        "num_hidden_layers": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 4096,
        "rope_theta": 1e6,
        "rope_scaling": {"rope_type": "default", "mrope_section": [4, 2, 2], "interleaved": True},
        "num_code_groups": GROUPS,
        "text_hidden_size": 32,
        "text_vocab_size": len(tokenizer),
        "codec_pad_id": _CODES,
        "codec_bos_id": _CODES + 1,
        "codec_eos_token_id": _CODES + 2,
        "codec_think_id": _CODES + 6,
        "codec_nothink_id": _CODES + 7,
        "codec_think_bos_id": _CODES + 8,
        "codec_think_eos_id": _CODES + 9,
        # Speakers and languages of all published kinds: one with a dialect, one whose own language nobody knows.
        "spk_id": {"vivian": _CODES + 20, "ryan": _CODES + 21, "eric": _CODES + 22, "someone": _CODES + 23},
        "spk_is_dialect": {"vivian": False, "ryan": False, "eric": "sichuan_dialect", "someone": False},
        "codec_language_id": {"chinese": _CODES + 30, "english": _CODES + 31, "sichuan_dialect": _CODES + 32},
        "code_predictor_config": {**predictor, "num_code_groups": GROUPS},
    }
    return _models.Qwen3TTSConfig(
        talker_config=talker,
        speaker_encoder_config=_SPEAKER_ENCODER,
        tokenizer_type="qwen3_tts_tokenizer_12hz",
        tts_model_size=size,
        tts_model_type=kind,
        im_start_token_id=ids["<|im_start|>"],
        im_end_token_id=ids["<|im_end|>"],
        tts_pad_token_id=ids["<tts_pad>"],
        tts_bos_token_id=ids["<tts_text_bos>"],
        tts_eos_token_id=ids["<tts_text_eod>"],
    )


def _write_codec(folder: Path) -> None:
    quantizer = {"codebook_size": _CODES, "num_quantizers": GROUPS, "num_key_value_heads": 2}
    encoder = {
        **_SMALL,
        **quantizer,
        "num_hidden_layers": 1,
        "num_filters": 4,
        "codebook_dim": 16,
        "vector_quantization_hidden_dimension": 16,
        "num_semantic_quantizers": 1,
        "upsampling_ratios": [8, 6, 5, 4],
        "frame_rate": 12.5,
        "sampling_rate": 24000,
        "sliding_window": 250,
        "upsample_groups": 32,
    }
    decoder = {
        **_SMALL,
        **quantizer,
        "num_hidden_layers": 2,
        "codebook_dim": 32,
        "latent_dim": 32,
        "decoder_dim": 32,
    }
    config = _codec.Qwen3TTSTokenizerV2Config(
        encoder_config=encoder, decoder_config=decoder, encoder_valid_num_quantizers=GROUPS
    )
    codec = _codec.Qwen3TTSTokenizerV2Model(config).eval()
    for name, weight in codec.decoder.named_parameters():
        if name.endswith("embedding_sum"):
            torch.nn.init.normal_(weight)
        elif name.endswith("conv.weight"):
            # What the library begins with gives silence.
            torch.nn.init.kaiming_normal_(weight)
    _set_loudness(codec.decoder)
    codec.save_pretrained(folder)
    EncodecFeatureExtractor(feature_size=1, sampling_rate=24000).save_pretrained(folder)


def _set_loudness(decoder: Any) -> None:
    last = list(decoder.decoder.children())[-1].conv
    with torch.no_grad():
        last.weight.mul_(1e-4)
        last.bias.zero_()
        loudness = decoder(torch.randint(0, _CODES, (1, GROUPS, 50))).std()
        last.weight.mul_(_LOUDNESS / loudness)
