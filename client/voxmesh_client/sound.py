"""Audio of the command line: files in the pieces a stream takes, at the pace of a microphone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from pathlib import Path

import numpy as np

from voxmesh_runtime.audio import AudioFile, AudioFormat, Encoder, Samples, write_wav


def pcm(sample_rate_hertz: int) -> AudioFormat:
    """Mono PCM_S16LE at a rate."""
    return AudioFormat(sample_rate_hertz=sample_rate_hertz)


def samples_of(data: bytes) -> Samples:
    """Samples in [-1, 1] of PCM_S16LE."""
    return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)


async def file_chunks(
    file: AudioFile, chunk_s: float, on_progress: Callable[[float], None] | None = None
) -> AsyncGenerator[bytes]:
    """The rest of a file as PCM_S16LE at its own rate; `on_progress` is told the seconds given so far."""
    encoder = Encoder(pcm(file.sample_rate_hertz))
    given = 0
    for block in file.blocks(chunk_s):
        yield encoder.encode(block)
        given += block.size
        if on_progress is not None:
            on_progress(given / file.sample_rate_hertz)


def silence(sample_rate_hertz: int, seconds: float) -> bytes:
    """PCM_S16LE of nothing."""
    return bytes(2 * round(sample_rate_hertz * seconds))


class Pacer:
    """Keeps chunks at the pace of real time: the n-th is due when n chunks' time has passed.

    Lateness does not add up: after a pause the next chunks follow at once until the pace is met.
    """

    def __init__(self, chunk_s: float) -> None:
        self._chunk_s = chunk_s
        self._due: float | None = None

    async def wait(self) -> None:
        """Wait until the next chunk is due."""
        now = asyncio.get_running_loop().time()
        if self._due is None:
            self._due = now
        await asyncio.sleep(max(0.0, self._due - now))
        self._due += self._chunk_s


def write_pcm(path: Path, pieces: Iterable[bytes], sample_rate_hertz: int) -> float:
    """Write PCM_S16LE as a wav file and give its length in seconds."""
    samples = samples_of(b"".join(pieces))
    write_wav(path, samples, sample_rate_hertz)
    return samples.size / sample_rate_hertz
