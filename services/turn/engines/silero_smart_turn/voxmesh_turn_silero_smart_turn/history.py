"""The last seconds of a stream's audio, in a ring of fixed size."""

from __future__ import annotations

import numpy as np

from voxmesh_runtime.audio import Samples


class History:
    """Keeps the last `capacity` samples."""

    def __init__(self, capacity: int) -> None:
        self._ring = np.zeros(capacity, np.float32)
        self._written = 0

    @property
    def position(self) -> int:
        """Samples written since the stream began."""
        return self._written

    def write(self, samples: Samples) -> None:
        """Append samples, at most the capacity."""
        begin = self._written % len(self._ring)
        first = min(len(samples), len(self._ring) - begin)
        self._ring[begin : begin + first] = samples[:first]
        self._ring[: len(samples) - first] = samples[first:]
        self._written += len(samples)

    def since(self, position: int) -> Samples:
        """A copy of what was written from `position` on, as far as it is kept."""
        count = min(self._written - position, self._written, len(self._ring))
        end = self._written % len(self._ring)
        if count <= end:
            return self._ring[end - count : end].copy()
        return np.concatenate([self._ring[end - count :], self._ring[:end]])
