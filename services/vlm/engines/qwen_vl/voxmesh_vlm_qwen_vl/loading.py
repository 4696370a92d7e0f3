"""Load the model on the first device that works; importing this takes the libraries' seconds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, Qwen3VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor

from voxmesh_runtime.devices import CPU, OnDevice, load_on_first
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.models import Checkpoint
from voxmesh_vlm_qwen_vl.decoder import Decoder
from voxmesh_vlm_qwen_vl.grammar import Grammars
from voxmesh_vlm_qwen_vl.pixels import Patcher
from voxmesh_vlm_qwen_vl.prompts import Prompter
from voxmesh_vlm_qwen_vl.settings import QwenVlSettings

_END_TOKENS = ("<|im_end|>", "<|endoftext|>")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What an engine works with."""

    patcher: Patcher
    prompter: Prompter
    decoder: Decoder
    grammars: Grammars
    tokenizer: Any


def load_model(checkpoint: Checkpoint, context: EngineContext, settings: QwenVlSettings) -> OnDevice[Loaded]:
    """Fetch and load the model.

    Raises:
        ModelError: the files are not to be had.
        FailedPrecondition: they are none of such a model, or the operator's device fails.
    """
    torch.set_num_threads(context.threads)
    folder = checkpoint.fetch(context.cache_dir)
    try:
        return load_on_first(context.device, _accelerator, lambda device: _load(folder, device, settings))
    except (OSError, ValueError, KeyError) as error:
        # What transformers raises for files that are missing, damaged or of another kind.
        message = f"model {checkpoint.name!r} cannot be loaded as Qwen3-VL: {error}"
        raise FailedPrecondition("model", checkpoint.name, message) from error


def _accelerator() -> str | None:
    return "cuda:0" if torch.cuda.is_available() else None


def _load(folder: Path, device: str, settings: QwenVlSettings) -> Loaded:
    dtype = torch.float32 if device == CPU else torch.bfloat16
    # Declared as if it gave the model alone.
    loaded: Any = Qwen3VLForConditionalGeneration.from_pretrained(
        folder, dtype=dtype, device_map=device, attn_implementation="sdpa", output_loading_info=True
    )
    model, notes = loaded
    if notes["missing_keys"]:
        # The library would go on with weights at random.
        raise ValueError(f"weights are missing, such as {min(notes['missing_keys'])}")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    # The model's other processors need torchvision.
    patcher = Patcher(Qwen2VLImageProcessor.from_pretrained(folder), settings.min_pixels)
    return Loaded(
        patcher,
        Prompter(tokenizer, patcher),
        Decoder(model.eval(), _end_ids(model, tokenizer)),
        Grammars(tokenizer, model.config.text_config.vocab_size),
        tokenizer,
    )


def _end_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    configured = model.generation_config.eos_token_id
    ids = [tokenizer.eos_token_id, *(configured if isinstance(configured, list) else [configured])]
    ids += tokenizer.convert_tokens_to_ids(list(_END_TOKENS))
    return frozenset(token for token in ids if token is not None)
