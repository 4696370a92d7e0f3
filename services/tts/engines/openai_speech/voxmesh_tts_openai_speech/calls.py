"""Requests of all streams on an event loop of their own: bounded, each with deadlines, tried again before any audio."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import aclosing
from dataclasses import dataclass, field
from queue import SimpleQueue

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.errors import Overloaded, Unavailable, VoxmeshError
from voxmesh_runtime.upstreams import ServerFailure
from voxmesh_tts_openai_speech.failures import Asked, to_error
from voxmesh_tts_openai_speech.server import Server, Wish
from voxmesh_tts_openai_speech.settings import OpenAiSpeechSettings

log = logging.getLogger(__name__)


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

    async def speak_all(self, texts: Sequence[str], wish: Wish, give: Callable[[Samples], None]) -> None:
        """Speak texts one after another; see `speak`."""
        for text in texts:
            await self.speak(text, wish, give)

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


class Answer(Iterator[Samples]):
    """The audio of one clause between the loop, which puts it, and a stream's thread, which waits for it.

    Args:
        begin: starts a request that puts its audio with the function that it is given.

    Raises:
        VoxmeshError: the request failed; what came before is given first.
    """

    def __init__(self, begin: Callable[[Callable[[Samples], None]], Future[None]]) -> None:
        # All of a clause is never more than `incoming.MAX_CLAUSE_S`.
        self._arrived = SimpleQueue[Samples | None]()
        self._call = begin(self._arrived.put)
        self._call.add_done_callback(lambda _: self._arrived.put(None))

    def __next__(self) -> Samples:
        samples = self._arrived.get()
        if samples is None:
            self._arrived.put(None)
            _raise_failure(self._call)
            raise StopIteration
        return samples

    def interrupt(self) -> None:
        """Close the request; whoever waits for its audio gets the end."""
        self._call.cancel()

    def close(self) -> None:
        """The same, when nobody waits."""
        self._call.cancel()


def _raise_failure(call: Future[None]) -> None:
    try:
        call.result()
    except CancelledError:
        raise Unavailable("the service is stopping; use another one") from None
