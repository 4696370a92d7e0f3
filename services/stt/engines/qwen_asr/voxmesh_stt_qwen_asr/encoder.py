"""The audio encoder, window by window: what a finished window gives never changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from voxmesh_stt_qwen_asr.attention import attend_within_windows

_CHUNK_FRAMES = 100
_CHUNK_TOKENS = 13


def token_count(frames: int) -> int:
    """Tokens that the encoder makes of a window's mel frames: 13 of each full second."""
    chunks, rest = divmod(frames, _CHUNK_FRAMES)
    for _ in range(3):
        rest = (rest + 1) // 2
    return chunks * _CHUNK_TOKENS + rest


class WindowEncoder:
    """Windows of any streams, encoded together; each comes out as it would alone.

    Args:
        audio_tower: the package's `Qwen3ASRAudioEncoder`, which is made to heed its windows.
    """

    def __init__(self, audio_tower: Any) -> None:
        attend_within_windows(audio_tower)
        self.window_frames: int = audio_tower.n_window_infer
        """Mel frames of a finished window: 800, which are 8 s."""
        self._audio_tower = audio_tower
        self._silence = torch.zeros(audio_tower.num_mel_bins, _CHUNK_FRAMES)

    def encode(self, windows: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Embeddings (tokens, width) for the decoder.

        Args:
            windows: scaled log-mel (mels, 1 to `window_frames` frames).
        """
        if not windows:
            return []
        # A last chunk is padded to the longest chunk of the call, and its convolution sees that. With a full
        # second in every call it is the same whatever is encoded beside it.
        packed = [*windows, self._silence.to(windows[0])]
        lengths = torch.tensor([window.shape[1] for window in packed], device=packed[0].device)
        features = torch.cat(packed, dim=1).to(self._audio_tower.dtype)
        states = self._audio_tower(features, feature_lens=lengths).last_hidden_state
        counts = [token_count(window.shape[1]) for window in packed]
        return list(states.split(counts))[:-1]
