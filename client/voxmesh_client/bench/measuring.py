"""A corpus through a recogniser over some streams at once: what it heard, how fast, at what cost."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from voxmesh_client.bench.clip import Clip
from voxmesh_client.bench.corpus import Corpus, read_samples
from voxmesh_client.bench.interims import Stability, stability
from voxmesh_client.bench.listening import Heard, Manner, listen
from voxmesh_client.bench.metering import metered
from voxmesh_client.bench.processes import NOT_MEASURED, Memory
from voxmesh_client.bench.server import Server
from voxmesh_client.bench.words import Score, score, total
from voxmesh_client.health import Health, check_health

_CLIPS_A_STREAM = 3
"""A corpus shorter than this many clips a stream is heard several times, so that all streams stay busy."""
_SETTLE_S = 1.0
_GONE = "not tried: the service is gone"


@dataclass(frozen=True, slots=True)
class Pass:
    """One time through the corpus, or several for many streams; times in seconds."""

    manner: Manner
    streams: int
    heard: Sequence[Heard]
    scores: Sequence[Score]
    """One for each of `heard`."""
    taken_s: float
    cpu_s: float | None
    """CPU time of the server; None when it was not started here."""
    memory: Memory
    """The most that was seen."""
    stability: Stability = field(default_factory=Stability)

    @classmethod
    def nothing(cls) -> Pass:
        """A pass over no clips."""
        return cls(Manner(), 1, (), (), 0.0, None, NOT_MEASURED)

    @property
    def pace(self) -> str:
        """Name of how the audio was sent."""
        return "real-time" if self.manner.real_time else "fast"

    @property
    def score(self) -> Score:
        """Errors over everything; a clip that failed counts as one of which nothing was heard."""
        return total(self.scores)

    @property
    def failures(self) -> list[Heard]:
        """Clips that failed."""
        return [each for each in self.heard if each.failure]

    @property
    def audio_s(self) -> float:
        """Length of the clips that did not fail."""
        return sum(each.clip.duration_s for each in self.heard if not each.failure)

    @property
    def real_time_factor(self) -> float | None:
        """Seconds that a stream takes for a second of its audio when it is sent as fast as it is taken.

        Below 1 each of the streams could go on in real time. None of a pass in real time, which takes
        as long as its audio.
        """
        if self.manner.real_time or not self.audio_s:
            return None
        return sum(each.taken_s for each in self.heard if not each.failure) / self.audio_s

    @property
    def throughput(self) -> float | None:
        """Seconds of audio heard in a second, all streams together; None of a pass in real time."""
        return None if self.manner.real_time or not self.audio_s else self.audio_s / self.taken_s

    @property
    def cpu_ratio(self) -> float | None:
        """CPU seconds of the server for a second of audio."""
        return self.cpu_s / self.audio_s if self.cpu_s is not None and self.audio_s else None

    def final_delays_s(self) -> list[float]:
        """Of each clip that has one."""
        return [each.final_delay_s for each in self.heard if each.final_delay_s is not None and not each.failure]

    def first_interims_s(self) -> list[float]:
        """Of each clip that has one."""
        return [each.first_interim_s for each in self.heard if each.first_interim_s is not None and not each.failure]


def rounds(clips: int, streams: int) -> int:
    """How often a corpus is heard, always whole, so that every clip weighs the same."""
    return math.ceil(_CLIPS_A_STREAM * streams / clips) if streams > 1 else 1


async def measure(
    server: Server, corpus: Corpus, streams: int, manner: Manner, on_done: Callable[[Heard], None]
) -> Pass:
    """Hear the corpus over `streams` streams at once, a new stream for each clip.

    Args:
        server: who hears.
        corpus: what it hears.
        streams: how many at once.
        manner: how audio is sent.
        on_done: called after each clip.
    """
    waiting = deque([*corpus.clips] * rounds(len(corpus.clips), streams))
    heard: list[Heard] = []
    async with metered(server) as cost, asyncio.TaskGroup() as tasks:
        for _ in range(streams):
            tasks.create_task(_hear_all(server, waiting, manner, heard, on_done))
    scores = await asyncio.to_thread(lambda: [score(each.clip.text, each.text, each.clip.language) for each in heard])
    steadiness = sum((stability(each.results) for each in heard if not each.failure), Stability())
    return Pass(manner, streams, heard, scores, cost.taken_s, cost.cpu_s, cost.memory, steadiness)


async def _hear_all(
    server: Server, waiting: deque[Clip], manner: Manner, heard: list[Heard], on_done: Callable[[Heard], None]
) -> None:
    """Hear what waits, one after another; once the service is gone the rest fails without being tried."""
    while waiting:
        heard.append(await _hear(server, waiting.popleft(), manner))
        on_done(heard[-1])
        if heard[-1].failure and await check_health(server.address) is Health.DOWN:
            heard += [Heard(clip, failure=_GONE) for clip in waiting]
            waiting.clear()


async def warm_up(server: Server, corpus: Corpus, streams: int) -> None:
    """Hear the first clip on every stream, once; nothing of it counts."""
    manner = Manner(interim_results=True)
    await asyncio.gather(*(_hear(server, corpus.clips[0], manner) for _ in range(streams)))
    await asyncio.sleep(_SETTLE_S)


async def _hear(server: Server, clip: Clip, manner: Manner) -> Heard:
    audio = await asyncio.to_thread(read_samples, clip)
    return await listen(server.mesh.speech_to_text, clip, audio, manner)
