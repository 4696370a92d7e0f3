"""Frames of the 12 Hz codec to samples, chunk by chunk.

The codec is causal, and what lies far behind a frame hardly changes it: a chunk is decoded with the 72 frames
before it, the window of its attention, and their samples are dropped. With the 25 that the package takes for long
speech the error is ten times as large.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import Any

import torch

from voxmesh_runtime.audio import Samples

LEFT_FRAMES = 72
_FIRST_SIZES = (4, 8, 16)
_SIZE = 24


def chunk_sizes() -> Iterator[int]:
    """Frames of each chunk: speech begins after 0.32 s of it, and each chunk lasts while the next is made."""
    return chain(_FIRST_SIZES, repeat(_SIZE))


class ChunkDecoder:
    """Decodes one generation.

    Args:
        codec: the package's `Qwen3TTSTokenizerV2Model`.
        before: frames of a recording that the speech goes on from, [count, groups].
    """

    def __init__(self, codec: Any, before: torch.Tensor | None = None) -> None:
        self._codec = codec
        self._context: list[torch.Tensor] = [] if before is None else list(before[-LEFT_FRAMES:])

    @torch.inference_mode()
    def decode(self, chunk: Sequence[torch.Tensor]) -> Samples:
        """Samples of the next frames, 1920 each, in [-1, 1]."""
        device = self._codec.device
        codes = torch.stack([frame.to(device) for frame in [*self._context, *chunk]])
        samples = self._codec.decoder(codes.T[None])[0, 0, len(self._context) * self._codec.decode_upsample_rate :]
        self._context = [*self._context, *chunk][-LEFT_FRAMES:]
        return samples.float().cpu().numpy()
