"""The network: prompts as token ids in, for each the probability that it goes on with yes rather than no."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from voxmesh_embed.lengths import runs
from voxmesh_runtime.devices import CPU

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Network:
    """A language model.

    Args:
        folder: of the checkpoint.
        device: to run on.
        dtype: name of the weights' numbers; "auto" takes what suits the device.
        pad: token in front of the shorter prompts of a run; none attends to it.
        max_padded_tokens: tokens of one run with their padding.
    """

    def __init__(self, folder: Path, device: str, dtype: str, pad: int, max_padded_tokens: int) -> None:
        number = _DTYPES["float32" if device == CPU else "bfloat16"] if dtype == "auto" else _DTYPES[dtype]
        model: Any = AutoModelForCausalLM.from_pretrained(
            str(folder), dtype=number, attn_implementation="sdpa", local_files_only=True
        )
        self._model = model.eval().to(device)
        self._device = device
        self._pad = pad
        self._max_padded_tokens = max_padded_tokens
        self.max_tokens: int = model.config.max_position_embeddings

    def probabilities(self, prompts: Sequence[Sequence[int]], yes: int, no: int) -> list[float]:
        """The probability of `yes` against `no` after each prompt, in their order."""
        found: dict[int, float] = {}
        for places in runs([len(ids) for ids in prompts], self._max_padded_tokens):
            found.update(zip(places, self._run([prompts[place] for place in places], yes, no), strict=True))
        return [found[place] for place in range(len(prompts))]

    @torch.inference_mode()
    def _run(self, prompts: Sequence[Sequence[int]], yes: int, no: int) -> list[float]:
        longest = max(map(len, prompts))
        rows = [[self._pad] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
        inputs: dict[str, Any] = {"input_ids": torch.tensor(rows, device=self._device)}
        if any(len(prompt) < longest for prompt in prompts):
            kept = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
            mask = torch.tensor(kept, device=self._device)
            # A prompt has the places that it has alone, however much is in front of it.
            inputs |= {"attention_mask": mask, "position_ids": (mask.cumsum(1) - 1).clamp(min=0)}
        logits = self._model(**inputs, use_cache=False, logits_to_keep=1).logits[:, -1, [no, yes]]
        return logits.float().softmax(dim=1)[:, 1].tolist()
