"""What the model must remember of one stream between chunks, from its start or last `finalize`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from voxmesh_runtime.audio import Samples
from voxmesh_stt_nemotron.latency import LatencyMode
from voxmesh_stt_nemotron.mel import MelFrontend, Window


@dataclass(frozen=True, slots=True)
class EncoderCache:
    """The encoder's memory of one stream; batch dimension of 1."""

    channel: torch.Tensor
    """[layers, 1, context, features]"""
    time: torch.Tensor
    """[layers, 1, features, kernel]"""
    length: torch.Tensor
    """[1]: frames of `channel` that hold something."""


@dataclass(slots=True, eq=False)
class Stream:
    """Audio that waits for a full chunk, and the caches behind it. Empty until the first chunk."""

    mode: LatencyMode
    frontend: MelFrontend
    subsampling: int
    tree: int = -1
    """The boosting tree of the stream's phrases; -1 for none."""
    cache: EncoderCache | None = None
    mel_tail: torch.Tensor | None = None
    """Last mel frames, which the next chunk's subsampling needs again: [features, 0 to cached_frames]."""
    decoder: Any = None
    """The transducer's state; None at the start."""
    decoded_frames: int = 0
    """Encoder frames that are decoded."""
    _samples: Samples = field(default_factory=lambda: np.zeros(0, np.float32))
    _dropped: int = 0
    _mel_frames: int = 0
    _ended: bool = False

    @property
    def received(self) -> int:
        """Samples since the stream's start, with the silence of its end."""
        return self._dropped + len(self._samples)

    def feed(self, samples: Samples) -> None:
        """Append audio."""
        self._samples = np.concatenate([self._samples, samples])

    def end(self, silence: int) -> None:
        """Say that no audio follows; the model hears at least `silence` samples of nothing after it.

        The silence is rounded up to whole encoder frames, or the last would be a part of one.
        """
        hop = self.frontend.hop_samples
        frame = self.subsampling * hop
        frames = -(-max(0, self.received + silence - hop) // frame)
        self.feed(np.zeros(frames * frame + hop - self.received, np.float32))
        self._ended = True

    @property
    def cached(self) -> int:
        """Mel frames that are put before the next chunk."""
        return 0 if self.mel_tail is None else self.mel_tail.shape[1]

    @property
    def due(self) -> int:
        """Mel frames of the next chunk; 0 while it is not complete."""
        wanted = self.mode.frames if self._mel_frames else self.mode.first_frames
        hop, half = self.frontend.hop_samples, self.frontend.half_window_samples
        complete = self.received // hop if self._ended else max(0, (self.received - half) // hop + 1)
        waiting = complete - self._mel_frames
        if waiting >= wanted:
            return wanted
        return waiting if self._ended else 0

    def take(self) -> Window:
        """The audio of the chunk that is due; what later chunks do not need is dropped."""
        hop, frames = self.frontend.hop_samples, self.due
        lead = min(self.frontend.lead_frames, self._mel_frames)
        begin = (self._mel_frames - lead) * hop - self._dropped
        last = (self._mel_frames + frames - 1) * hop + self.frontend.half_window_samples - self._dropped
        window = Window(self._samples[begin:last], lead, frames)
        self._mel_frames += frames
        kept = max(0, self._mel_frames - self.frontend.lead_frames) * hop
        self._samples = self._samples[kept - self._dropped :]
        self._dropped = kept
        return window

    def chunk(self, mel: torch.Tensor) -> torch.Tensor:
        """The encoder's input: the chunk with the frames that it needs again before it."""
        before = mel[:, :0] if self.mel_tail is None else self.mel_tail
        chunk = torch.cat([before, mel], 1)
        self.mel_tail = chunk[:, -self.mode.cached_frames :].clone()
        return chunk
