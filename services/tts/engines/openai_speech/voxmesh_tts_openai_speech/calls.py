"""Requests of all streams on an event loop of their own: bounded, each with deadlines, tried again before any audio.

The engine's thread takes up what has come and never waits long for one stream while another has audio.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import aclosing
from dataclasses import dataclass, field

import numpy as np

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.errors import Overloaded, Unavailable, VoxmeshError
from voxmesh_runtime.upstreams import ServerFailure
from voxmesh_tts_openai_speech.failures import Asked, to_error
from voxmesh_tts_openai_speech.server import Server, Wish
from voxmesh_tts_openai_speech.settings import OpenAiSpeechSettings

log = logging.getLogger(__name__)

_LOOK_S = 0.05
"""Longest time in which a stream without audio holds the engine's thread; a cancel waits as long."""
_NOTHING = np.zeros(0, np.float32)


class Arrivals:
    """Counts what has come for any stream, so that one without audio lets the others go first."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.count = 0

    def tell(self) -> None:
        """Something came."""
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def wait(self, seen: int) -> None:
        """Return as soon as the count is not `seen`, or after a moment."""
        with self._changed:
            self._changed.wait_for(lambda: self.count != seen, _LOOK_S)


@dataclass(slots=True)
class _Progress:
    """How far a request has come, for when its deadline strikes."""

    is_sent: bool = False
    has_audio: bool = False
    failure: ServerFailure | None = None
    """Of the attempt before."""


@dataclass(slots=True)
class Calls:
    """Speech of one server; used on one loop."""

    server: Server
    settings: OpenAiSpeechSettings
    _slots: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.settings.max_concurrent_requests)

    async def speak(self, text: str, wish: Wish, give: Callable[[Samples], None]) -> None:
        """Give a text's audio as it comes; cancelled, it closes the connection.

        Raises:
            InvalidArgument: the server refuses what the caller asked for.
            FailedPrecondition: it refuses the key, the model, the voice or the settings' fields.
            Overloaded: it is at its limit.
            Unavailable: it fails, cannot be reached, gives no audio in time, or breaks off.
        """
        settings = self.settings
        has_instructions = bool(wish.instructions)
        asked = Asked(settings.shown_url, self.server.model, wish.voice, wish.speed is not None, has_instructions)
        progress = _Progress()
        try:
            async with asyncio.timeout(settings.first_audio_timeout_s) as limit, self._slots:
                await self._try(text, wish, give, progress, limit)
        except ServerFailure as failure:
            raise to_error(failure, asked) from failure
        except TimeoutError:
            raise self._too_late(progress, asked) from progress.failure
        if not progress.has_audio:
            # Right for what cannot be spoken; a sign of trouble for all else.
            log.warning("the server gave no audio", extra={"characters": len(text)})

    async def _try(
        self, text: str, wish: Wish, give: Callable[[Samples], None], progress: _Progress, limit: asyncio.Timeout
    ) -> None:
        for attempt in range(1, self.settings.retry_attempts + 1):
            progress.is_sent = True
            try:
                await self._once(text, wish, give, progress, limit)
            except ServerFailure as failure:
                progress.failure = failure
                wait_s = failure.retry_after_s or random.uniform(0.05, 0.2) * attempt  # noqa: S311 # spreads retries
                is_last = attempt == self.settings.retry_attempts or wait_s > self.settings.retry_max_wait_s
                if progress.has_audio or not failure.is_transient or is_last:
                    raise
                log.info("asking the server again", extra={"attempt": attempt, "reason": failure.problem})
                await asyncio.sleep(wait_s)
            else:
                return

    async def _once(
        self, text: str, wish: Wish, give: Callable[[Samples], None], progress: _Progress, limit: asyncio.Timeout
    ) -> None:
        loop = asyncio.get_running_loop()
        async with aclosing(self.server.speech(text, wish)) as pieces:
            async for piece in pieces:
                progress.has_audio = True
                limit.reschedule(loop.time() + self.settings.silence_timeout_s)
                give(piece.samples)

    def _too_late(self, progress: _Progress, asked: Asked) -> VoxmeshError:
        settings = self.settings
        if progress.has_audio:
            problem = f"the server fell silent in mid-audio for {settings.silence_timeout_s:g} s"
            return Unavailable(f"{problem}; try again, or raise VOXMESH_OPENAI_SPEECH_SILENCE_TIMEOUT_S")
        if progress.failure is not None:
            return to_error(progress.failure, asked)
        limit_s = settings.first_audio_timeout_s
        if not progress.is_sent:
            count = settings.max_concurrent_requests
            return Overloaded(f"all {count} requests that the server may get were in use for {limit_s:g} s; try later")
        problem = f"the server gave no audio within {limit_s:g} s"
        return Unavailable(f"{problem}; try again, or raise VOXMESH_OPENAI_SPEECH_FIRST_AUDIO_TIMEOUT_S")


class Inbox:
    """One request's audio between the loop, which puts, and the engine's thread, which takes."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._samples: deque[Samples] = deque()

    def put(self, samples: Samples) -> None:
        """Add what has come; all of a clause is never more than `incoming.MAX_CLAUSE_S`."""
        self._samples.append(samples)
        self._arrivals.tell()

    def pieces(self, call: Future[None]) -> Iterator[Samples]:
        """All that comes until `call` is over; an empty piece whenever there is nothing, so that others get their turn.

        Raises:
            VoxmeshError: the request failed; what came before is given first.
        """
        call.add_done_callback(lambda _: self._arrivals.tell())
        while True:
            seen, is_over = self._arrivals.count, call.done()
            if self._samples:
                yield np.concatenate([self._samples.popleft() for _ in range(len(self._samples))])
            elif is_over:
                _raise_failure(call)
                return
            else:
                self._arrivals.wait(seen)
                if not self._samples:
                    yield _NOTHING


def _raise_failure(call: Future[None]) -> None:
    try:
        call.result()
    except CancelledError:
        raise Unavailable("the service is stopping; use another one") from None
