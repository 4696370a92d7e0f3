"""The network: token ids of several texts in, one vector of unit length for each out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from transformers import AutoModel

from voxmesh_embed.engine import Values
from voxmesh_embed.lengths import runs
from voxmesh_runtime.devices import CPU

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Network:
    """A decoder whose last hidden state is the vector of all that is before it.

    Args:
        folder: of the checkpoint.
        device: to run on.
        dtype: name of the weights' numbers; "auto" takes what suits the device.
        pad: token in front of the shorter texts of a run; none attends to it.
        max_padded_tokens: tokens of one run with their padding.
    """

    def __init__(self, folder: Path, device: str, dtype: str, pad: int, max_padded_tokens: int) -> None:
        number = _DTYPES["float32" if device == CPU else "bfloat16"] if dtype == "auto" else _DTYPES[dtype]
        model: Any = AutoModel.from_pretrained(
            str(folder), dtype=number, attn_implementation="sdpa", local_files_only=True
        )
        self._model = model.eval().to(device)
        self._device = device
        self._pad = pad
        self._max_padded_tokens = max_padded_tokens
        self.dimensions: int = model.config.hidden_size
        self.max_tokens: int = model.config.max_position_embeddings

    def embed(self, texts: Sequence[Sequence[int]]) -> list[Values]:
        """The vectors of texts given as token ids, in their order."""
        vectors: dict[int, Values] = {}
        for places in runs([len(ids) for ids in texts], self._max_padded_tokens):
            vectors.update(zip(places, self._run([texts[place] for place in places]), strict=True))
        return [vectors[place] for place in range(len(texts))]

    @torch.inference_mode()
    def _run(self, texts: Sequence[Sequence[int]]) -> Values:
        longest = max(map(len, texts))
        ids = torch.tensor([[self._pad] * (longest - len(text)) + list(text) for text in texts], device=self._device)
        inputs: dict[str, Any] = {}
        if any(len(text) < longest for text in texts):
            kept = torch.tensor([[0] * (longest - len(text)) + [1] * len(text) for text in texts], device=self._device)
            # A text has the places that it has alone, however much is in front of it.
            inputs = {"attention_mask": kept, "position_ids": (kept.cumsum(1) - 1).clamp(min=0)}
        hidden = self._model(input_ids=ids, use_cache=False, **inputs).last_hidden_state[:, -1]
        return functional.normalize(hidden.float(), dim=1).cpu().numpy()
