"""The audio of the latest reply, for finding its echo."""

from __future__ import annotations

from collections import deque

import numpy as np

from voxmesh_runtime.audio import AudioFormat, Decoder, Samples

KEPT_S = 60.0
"""Reply audio that is kept, in seconds: as much as a client may have before it."""


class SentAudio:
    """The latest reply's audio, by its place in the reply.

    Args:
        audio_format: of the pieces.
    """

    def __init__(self, audio_format: AudioFormat) -> None:
        self.sample_rate_hertz = audio_format.sample_rate_hertz
        self._decoder = Decoder(audio_format, "reply_audio", max_chunk_bytes=2**31)
        self._pieces: deque[tuple[float, bytes]] = deque()
        self._turn_index = -1

    def add(self, turn_index: int, offset_s: float, data: bytes) -> None:
        """The next piece of a turn's reply was sent."""
        if turn_index != self._turn_index:
            self._turn_index = turn_index
            self._pieces.clear()
        if data:
            self._pieces.append((offset_s, data))
        while self._pieces and self._pieces[0][0] < offset_s - KEPT_S:
            self._pieces.popleft()

    def between(self, begin_s: float, end_s: float) -> Samples | None:
        """The reply's samples, zeros where there are none; None when what was sent there is not known."""
        if not self._pieces or max(begin_s, 0.0) < self._pieces[0][0]:
            return None
        rate = self.sample_rate_hertz
        samples = np.zeros(round((end_s - begin_s) * rate), np.float32)
        for offset_s, data in self._pieces:
            at = round((offset_s - begin_s) * rate)
            if at >= len(samples):
                break
            piece = self._decoder.decode(data)[max(0, -at) :]
            at = max(0, at)
            samples[at : at + len(piece)] = piece[: len(samples) - at]
        return samples
