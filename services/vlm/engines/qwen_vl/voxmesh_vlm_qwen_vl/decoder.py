"""The model's own tokens, one at a time: each analysis has its keys, values and positions to itself.

The library keeps where the text goes on after a picture on the model, shared by all; here it is part of the analysis,
so that steps of several may take turns.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import torch
from transformers import DynamicCache

from voxmesh_vlm_qwen_vl.prompts import Prompt

Choose = Callable[[torch.Tensor], int]
"""The next token by the logits of all, shape (vocabulary,)."""


def likeliest(logits: torch.Tensor) -> int:
    """The token with the highest logit."""
    return int(logits.argmax())


class Decoder:
    """Reads a prompt, then writes until the model ends.

    Args:
        model: a `Qwen3VLForConditionalGeneration`.
        end_ids: tokens that end an answer.
    """

    def __init__(self, model: Any, end_ids: frozenset[int]) -> None:
        self._model = model
        self._end_ids = end_ids

    @property
    def most_tokens(self) -> int:
        """Tokens that the model was made for, of prompt and answer together."""
        return self._model.config.text_config.max_position_embeddings

    def tokens(self, prompt: Prompt, choose: Choose = likeliest) -> Generator[int]:
        """The answer's tokens, without the one that ends it; each is computed when it is asked for."""
        cache = DynamicCache(config=self._model.config.text_config)
        logits, place = self._read(prompt, cache)
        while (token := choose(logits)) not in self._end_ids:
            yield token
            logits = self._write(token, place, cache)
            place += 1

    @torch.inference_mode()
    def _read(self, prompt: Prompt, cache: DynamicCache) -> tuple[torch.Tensor, int]:
        """The logits after the prompt, and the place of the next token."""
        device, dtype = self._model.device, self._model.dtype
        ids = prompt.ids.to(device)
        seen: dict[str, torch.Tensor] = {}
        if prompt.pictures:
            seen["pixel_values"] = torch.cat([picture.values for picture in prompt.pictures]).to(device, dtype)
            seen["image_grid_thw"] = torch.tensor([picture.grid for picture in prompt.pictures], device=device)
        if prompt.video is not None:
            seen["pixel_values_videos"] = prompt.video.values.to(device, dtype)
            seen["video_grid_thw"] = torch.tensor([prompt.video.grid], device=device)
        grids = {name: grid for name, grid in seen.items() if name.endswith("_thw")}
        places, _ = self._model.model.get_rope_index(ids, **grids)
        return self._logits(cache, input_ids=ids, position_ids=places, **seen), int(places.max()) + 1

    @torch.inference_mode()
    def _write(self, token: int, place: int, cache: DynamicCache) -> torch.Tensor:
        device = self._model.device
        places = torch.full((3, 1, 1), place, device=device)
        return self._logits(cache, input_ids=torch.tensor([[token]], device=device), position_ids=places)

    def _logits(self, cache: DynamicCache, **inputs: torch.Tensor) -> torch.Tensor:
        begin = cache.get_seq_length()
        columns = torch.arange(begin, begin + inputs["input_ids"].shape[1], device=self._model.device)
        out = self._model(
            **inputs, past_key_values=cache, cache_position=columns, use_cache=True, logits_to_keep=1, return_dict=True
        )
        return out.logits[0, -1].float()
