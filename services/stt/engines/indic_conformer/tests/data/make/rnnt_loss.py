"""The RNN transducer's loss, along the lattice's antidiagonals, which is quick enough on a CPU."""

# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false
# torch, NeMo and sentencepiece are not in the engine's environment.

from __future__ import annotations

import torch
from torch.nn import functional

_NEVER = -1e30


def rnnt_loss(scores: torch.Tensor, tokens: torch.Tensor, steps: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Mean over the batch of the negative log-likelihood a token.

    Args:
        scores: [batch, steps, tokens + 1, classes] before the softmax; the last class is the blank.
        tokens: [batch, tokens].
        steps: encoded steps of each sequence.
        counts: tokens of each sequence.
    """
    logs = scores.log_softmax(-1)
    blank = logs[..., -1]
    batch, all_steps, width = blank.shape
    index = tokens[:, None, :, None].expand(batch, all_steps, width - 1, 1)
    emit = functional.pad(logs[:, :, :-1].gather(3, index)[..., 0], (0, 1), value=_NEVER)
    column = torch.arange(width)
    alpha = torch.full((batch, width), _NEVER)
    alpha[:, 0] = 0.0
    diagonals = [alpha]
    for diagonal in range(1, all_steps + width - 1):
        step = diagonal - column
        outside = (step < 1) | (step >= all_steps)
        stayed = (alpha + blank[:, (step - 1).clamp(0, all_steps - 1), column]).masked_fill(outside, _NEVER)
        previous = (diagonal - 1 - column).clamp(0, all_steps - 1)
        moved = functional.pad((alpha + emit[:, previous, column])[:, :-1], (1, 0), value=_NEVER)
        moved = moved.masked_fill((step < 0) | (step >= all_steps) | (column < 1), _NEVER)
        alpha = torch.logaddexp(stayed, moved)
        diagonals.append(alpha)
    lattice = torch.stack(diagonals, 1)
    row = torch.arange(batch)
    likelihood = lattice[row, steps - 1 + counts, counts] + blank[row, steps - 1, counts]
    return (-likelihood / counts.clamp(min=1)).mean()
