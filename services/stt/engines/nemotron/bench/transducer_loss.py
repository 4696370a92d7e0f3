"""The RNN-T loss in plain PyTorch, one antidiagonal of the lattice at a time.

NeMo's own is made for GPUs and takes about 75 times as long on a CPU.
"""

from __future__ import annotations

import torch
from torch.nn import functional

_NEVER = -1e30


def transducer_loss(
    logits: torch.Tensor, targets: torch.Tensor, frames: torch.Tensor, lengths: torch.Tensor, blank: int
) -> torch.Tensor:
    """Mean over the batch of the loss a target token.

    Args:
        logits: [batch, frames, tokens + 1, vocabulary and blank], of the joint network
        targets: [batch, tokens]
        frames: [batch], frames that are valid
        lengths: [batch], tokens that are valid
        blank: index of blank
    """
    batch, frame_count, rows, _ = logits.shape
    scores = functional.log_softmax(logits.float(), -1)
    stay = scores[..., blank]
    wanted = targets[:, None, :, None].expand(batch, frame_count, rows - 1, 1)
    emit = functional.pad(scores[:, :, :-1].gather(3, wanted)[..., 0], (0, 1), value=_NEVER)
    row = torch.arange(rows)
    alpha = torch.full((batch, rows), _NEVER)
    alpha[:, 0] = 0.0
    diagonals = [alpha]
    for diagonal in range(1, frame_count + rows - 1):
        frame = diagonal - row
        outside = (frame < 0) | (frame > frame_count - 1)
        stayed = alpha + stay[:, (frame - 1).clamp(0, frame_count - 1), row]
        stayed = stayed.masked_fill(outside | (frame < 1), _NEVER)
        before = (diagonal - 1 - row).clamp(0, frame_count - 1)
        emitted = functional.pad((alpha + emit[:, before, row])[:, :-1], (1, 0), value=_NEVER)
        emitted = emitted.masked_fill(outside | (row < 1), _NEVER)
        alpha = torch.logaddexp(stayed, emitted)
        diagonals.append(alpha)
    index = torch.arange(batch)
    last = torch.stack(diagonals, 1)[index, frames - 1 + lengths, lengths]
    return (-(last + stay[index, frames - 1, lengths]) / lengths.clamp(min=1)).mean()
