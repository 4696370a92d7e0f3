"""Audio of the command line: files in the pieces a stream takes, at the pace of a microphone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from pathlib import Path

import numpy as np

from voxmesh_runtime.audio import (
    MAX_RATE_HERTZ,
    MIN_RATE_HERTZ,
    AudioFile,
    AudioFormat,
    Encoder,
    Resampler,
    Samples,
    write_wav,
)


def pcm(sample_rate_hertz: int) -> AudioFormat:
    """Mono PCM_S16LE at a rate."""
    return AudioFormat(sample_rate_hertz=sample_rate_hertz)


def samples_of(data: bytes) -> Samples:
    """Samples in [-1, 1] of PCM_S16LE."""
    return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)


def sent_hertz(rate_hertz: int) -> int:
    """The rate at which audio of any rate is sent: its own, or the nearest that services take."""
    return min(max(rate_hertz, MIN_RATE_HERTZ), MAX_RATE_HERTZ)


def sendable(samples: Samples, rate_hertz: int) -> tuple[Samples, int]:
    """Audio at `sent_hertz`, and that rate."""
    resampler = Resampler(rate_hertz, sent_hertz(rate_hertz))
    return np.concatenate([resampler.process(samples), resampler.flush()]), sent_hertz(rate_hertz)


async def file_chunks(
    file: AudioFile, chunk_s: float, on_progress: Callable[[float], None] | None = None
) -> AsyncGenerator[bytes]:
    """The rest of a file as PCM_S16LE at `sent_hertz`; `on_progress` is told the seconds given so far."""
    hertz = sent_hertz(file.sample_rate_hertz)
    encoder, resampler = Encoder(pcm(hertz)), Resampler(file.sample_rate_hertz, hertz)
    given = 0
    for block in file.blocks(chunk_s):
        if (ready := resampler.process(block)).size:
            yield encoder.encode(ready)
        given += block.size
        if on_progress is not None:
            on_progress(given / file.sample_rate_hertz)
    if (tail := resampler.flush()).size:
        yield encoder.encode(tail)


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
