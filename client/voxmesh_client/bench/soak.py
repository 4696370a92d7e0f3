"""One stream that goes on for long, in accelerated time: does the server's memory stay level, does it still hear."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np

from voxmesh.stt.v1 import stt_pb2
from voxmesh_client.bench.corpus import Corpus, read_samples
from voxmesh_client.bench.processes import Memory
from voxmesh_client.bench.server import Server
from voxmesh_client.bench.words import Score, score
from voxmesh_client.errors import MeshError
from voxmesh_client.sound import pcm
from voxmesh_client.speech_to_text import Request
from voxmesh_runtime.audio import Encoder, Resampler, Samples

_RATE_HERTZ = 16_000
_CHUNK_S = 0.1
_GAP_S = 0.5
"""Silence after each clip."""
_STEP_S = 600.0
_LEAST_STEPS = 10
"""A short soak looks more often than each 10 minutes."""
_WARM_SHARE = 0.2
"""Looks in the first part of a soak, while caches and arenas fill, do not count."""
_LEVEL_SHARE = 0.05
_LEVEL_MIB = 8.0
"""Memory is level when it grows in an hour by at most the higher of this share of it and this much."""
_TIMEOUT_RATIO = 5.0


@dataclass(frozen=True, slots=True)
class Look:
    """Memory of the server once it took that much audio; it may be up to 30 s behind."""

    audio_s: float
    memory: Memory

    @property
    def held_mib(self) -> float | None:
        """What is compared over time: memory that neighbours cannot change, where the system tells it."""
        return self.memory.anonymous_mib or self.memory.rss_mib


@dataclass(frozen=True, slots=True)
class Soak:
    """What a long stream did."""

    audio_s: float
    taken_s: float
    looks: Sequence[Look]
    score: Score
    failure: str = ""

    @property
    def growth_mib_per_hour(self) -> float | None:
        """Median slope over all pairs of looks (Theil-Sen) after the warm part; None when not measured."""
        points = self._points()
        if len(points) < 2:  # noqa: PLR2004 # a slope needs two
            return None
        seconds, mib = np.asarray(points).T
        first, second = np.triu_indices(len(points), k=1)
        return float(np.median((mib[second] - mib[first]) / (seconds[second] - seconds[first]))) * 3600

    @property
    def verdict(self) -> str:
        """`flat`, `growing` or `not measured`."""
        growth = self.growth_mib_per_hour
        if growth is None:
            return "not measured"
        level = max(_LEVEL_MIB, _LEVEL_SHARE * self._points()[0][1])
        return "growing" if growth > level else "flat"

    def _points(self) -> list[tuple[float, float]]:
        """Seconds and MiB of every look that counts."""
        told = ((look.audio_s, look.held_mib) for look in self.looks)
        return [(at, mib) for at, mib in told if mib is not None and at >= _WARM_SHARE * self.audio_s]


async def soak(server: Server, corpus: Corpus, minutes: float, on_second: Callable[[float], None]) -> Soak:
    """Repeat the corpus in one stream without a finalize, as fast as the service takes it.

    Args:
        server: who hears; its memory is looked at each 10 minutes of audio, or ten times if that is oftener.
        corpus: what it hears; resampled to 16 kHz, 0.5 s of silence after each clip.
        minutes: length of the stream's audio.
        on_second: called with the seconds of audio given so far.
    """
    feed = _Feed(server, corpus, minutes * 60, on_second)
    language = corpus.clips[0].language
    config = stt_pb2.RecognitionConfig(
        audio_format=pcm(_RATE_HERTZ).to_proto(), language_codes=[language], interim_results=True
    )
    began = time.monotonic()
    texts: list[str] = []
    failure = ""
    try:
        async with server.mesh.speech_to_text.open(config, 60 + minutes * 60 * _TIMEOUT_RATIO) as stream:
            async for kind, response in stream.exchange(feed.requests()):
                if kind == "result" and response.result.is_final:
                    texts.append(response.result.transcript)
    except MeshError as error:
        failure = str(error)
    taken_s = time.monotonic() - began
    await feed.look()
    said, heard = " ".join(feed.said), " ".join(texts)
    errors = await asyncio.to_thread(score, said, heard, language)
    return Soak(feed.given_s, taken_s, feed.looks, errors, failure)


class _Feed:
    """The audio of a soak and what is seen while it goes out."""

    def __init__(self, server: Server, corpus: Corpus, seconds: float, on_second: Callable[[float], None]) -> None:
        self.given_s = 0.0
        self.said: list[str] = []
        self.looks: list[Look] = []
        self._server = server
        self._corpus = corpus
        self._seconds = seconds
        self._step_s = min(_STEP_S, seconds / _LEAST_STEPS)
        self._on_second = on_second

    async def requests(self) -> AsyncGenerator[Request]:
        encoder = Encoder(pcm(_RATE_HERTZ))
        for samples in self._clips():
            for piece in _pieces(samples):
                yield Request(audio=encoder.encode(piece))
                self.given_s += len(piece) / _RATE_HERTZ
                if self.given_s >= self._step_s * (len(self.looks) + 1):
                    await self.look()
            self._on_second(self.given_s)
        yield Request(finalize=stt_pb2.Finalize())

    async def look(self) -> None:
        seen = await asyncio.to_thread(self._server.watch.look)
        self.looks.append(Look(self.given_s, await self._server.memory(seen)))

    def _clips(self) -> Iterator[Samples]:
        """Whole clips until their length is reached."""
        for clip in cycle(self._corpus.clips):
            if self.given_s >= self._seconds:
                return
            self.said.append(clip.text)
            yield _at_rate(*read_samples(clip))


def _at_rate(samples: Samples, rate_hertz: int) -> Samples:
    resampler = Resampler(rate_hertz, _RATE_HERTZ)
    silence = np.zeros(round(_GAP_S * _RATE_HERTZ), np.float32)
    return np.concatenate([resampler.process(samples), resampler.flush(), silence])


def _pieces(samples: Samples) -> Iterator[Samples]:
    size = round(_CHUNK_S * _RATE_HERTZ)
    for begin in range(0, len(samples), size):
        yield samples[begin : begin + size]
