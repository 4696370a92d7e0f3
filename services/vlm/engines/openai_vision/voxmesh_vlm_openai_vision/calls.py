"""Requests of all streams on an event loop of their own: bounded, each with deadlines, tried again before any output.

An engine's step takes up what has come, and returns with nothing after a moment, so that a cancel is noticed.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import random
from collections.abc import Callable, Generator
from concurrent.futures import CancelledError, Future
from contextlib import aclosing
from dataclasses import dataclass, field

from voxmesh_runtime.chat.thinking import ThinkingHabits
from voxmesh_runtime.errors import Overloaded, Unavailable, VoxmeshError
from voxmesh_runtime.upstreams import ServerFailure
from voxmesh_vlm_openai_vision.answers import Words
from voxmesh_vlm_openai_vision.failures import to_error
from voxmesh_vlm_openai_vision.messages import Question
from voxmesh_vlm_openai_vision.server import Server, Way
from voxmesh_vlm_openai_vision.settings import PREFIX, OpenAiVisionSettings

log = logging.getLogger(__name__)

_LOOK_S = 0.05
"""Longest step of a stream without output; a cancel waits as long."""


@dataclass(slots=True)
class _Progress:
    """How far a request has come, for when its deadline strikes."""

    is_sent: bool = False
    has_output: bool = False
    failure: ServerFailure | None = None
    """Of the attempt before."""


@dataclass(slots=True)
class Calls:
    """Answers of one server; used on one loop."""

    server: Server
    settings: OpenAiVisionSettings
    _slots: asyncio.Semaphore = field(init=False)
    _habits: ThinkingHabits = field(init=False)

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.settings.max_concurrent_requests)
        self._habits = ThinkingHabits(always=None)

    async def ask(self, question: Question, give: Callable[[str], None]) -> bool:
        """Give an answer's text as it comes; cancelled, it closes the connection.

        Returns:
            True if the limit of tokens cut it.

        Raises:
            InvalidArgument: pictures and prompt are longer than the model's context.
            FailedPrecondition: the server refuses the key, the model, pictures or the settings' fields.
            Overloaded: it is at its limit.
            Unavailable: it fails, cannot be reached, is silent for too long, or breaks off.
        """
        progress, settings = _Progress(), self.settings
        try:
            async with asyncio.timeout(settings.first_token_timeout_s) as limit, self._slots:
                return await self._try(question, give, progress, limit)
        except ServerFailure as failure:
            raise to_error(failure, settings.shown_url, self.server.model) from failure
        except TimeoutError:
            raise self._too_late(progress) from progress.failure

    async def words(self, question: Question, way: Way | None, give: Callable[[str], None]) -> bool:
        """The same in one attempt without deadlines, by another way.

        Raises:
            ServerFailure: the server has none.
        """
        words = Words(begins_with_thoughts=self._habits.begins_with_thoughts(self.server.model))
        async with aclosing(self.server.answer(question, way)) as events:
            async for event in events:
                give(words.feed(event))
        give(words.end())
        self._habits.learn(self.server.model, words.splitter)
        return words.is_cut

    async def _try(
        self, question: Question, give: Callable[[str], None], progress: _Progress, limit: asyncio.Timeout
    ) -> bool:
        loop, settings = asyncio.get_running_loop(), self.settings

        def alive(text: str) -> None:
            # Thoughts count as a sign of life, though they are not given.
            limit.reschedule(loop.time() + settings.silence_timeout_s)
            progress.has_output = progress.has_output or bool(text)
            give(text)

        for attempt in range(1, settings.retry_attempts + 1):
            progress.is_sent = True
            try:
                return await self.words(question, None, alive)
            except ServerFailure as failure:
                progress.failure = failure
                wait_s = failure.retry_after_s or random.uniform(0.05, 0.2) * attempt  # noqa: S311 # spreads retries
                is_last = attempt == settings.retry_attempts or wait_s > settings.retry_max_wait_s
                if progress.has_output or not failure.is_transient or is_last:
                    raise
                log.info("asking the server again", extra={"attempt": attempt, "reason": failure.problem})
                await asyncio.sleep(wait_s)
        raise AssertionError("at least one attempt")

    def _too_late(self, progress: _Progress) -> VoxmeshError:
        settings = self.settings
        if progress.has_output:
            problem = f"the server fell silent in mid-answer for {settings.silence_timeout_s:g} s"
            return Unavailable(f"{problem}; try again, or raise {PREFIX}SILENCE_TIMEOUT_S")
        if progress.failure is not None:
            return to_error(progress.failure, settings.shown_url, self.server.model)
        limit_s = settings.first_token_timeout_s
        if not progress.is_sent:
            count = settings.max_concurrent_requests
            return Overloaded(f"all {count} requests that the server may get were in use for {limit_s:g} s; try later")
        problem = f"the server wrote nothing within {limit_s:g} s"
        return Unavailable(f"{problem}; try again, or raise {PREFIX}FIRST_TOKEN_TIMEOUT_S")


class Inbox:
    """One answer between the loop, which puts, and the engine's thread, which takes."""

    def __init__(self) -> None:
        self._pieces: queue.SimpleQueue[str] = queue.SimpleQueue()

    def put(self, piece: str) -> None:
        """Add what has come; the server's own limit of characters bounds it."""
        if piece:
            self._pieces.put(piece)

    def pieces(self, call: Future[bool]) -> Generator[str, None, bool]:
        """All that comes until `call` is over, with an empty piece whenever there is nothing; then what it returned.

        Raises:
            VoxmeshError: the request failed; what came before is given first.
        """
        call.add_done_callback(lambda _: self._pieces.put(""))
        while not (call.done() and self._pieces.empty()):
            try:
                yield self._pieces.get(timeout=_LOOK_S)
            except queue.Empty:
                yield ""
        try:
            return call.result()
        except CancelledError:
            raise Unavailable("the service is stopping; use another one") from None
