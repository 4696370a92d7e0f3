"""The encoder's attention on any device: within each window alone, as FlashAttention 2 does it.

The package calls the encoder without a mask and leaves the windows to FlashAttention's
`cu_seqlens`; torch's own attention would look at all audio at once, and no finished window
could be kept.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from transformers import AttentionInterface

_NAME = "voxmesh_windows"


def attend_within_windows(audio_tower: Any) -> None:
    """Make an encoder of the package heed its windows."""
    AttentionInterface.register(_NAME, _windowed)
    audio_tower.set_attn_implementation(_NAME)


def _windowed(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float,
    cu_seq_lens_q: torch.Tensor,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of packed windows: tensors of (1, heads, frames, size), windows bounded by `cu_seq_lens_q`."""
    del module, attention_mask
    lengths = cu_seq_lens_q.diff().tolist()
    padded = [_padded(states, lengths) for states in (query, key, value)]
    longest = padded[0].shape[2]
    held = torch.arange(longest, device=query.device) < torch.tensor(lengths, device=query.device)[:, None]
    mask = None if min(lengths) == longest else held[:, None, None]
    attended = functional.scaled_dot_product_attention(*padded, attn_mask=mask, scale=scaling)
    return attended.transpose(1, 2)[held][None], None


def _padded(states: torch.Tensor, lengths: list[int]) -> torch.Tensor:
    """(1, heads, frames, size) as (windows, heads, longest window, size)."""
    windows = states[0].transpose(0, 1).split(lengths)
    return pad_sequence(list(windows), batch_first=True).transpose(1, 2)
