"""Requests of all streams on an event loop of their own: bounded, each with a deadline, finals before interims.

The engine's thread submits speech and gets a future; it never waits for an interim result, and
for a final one only when a stream has asked for it.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any, cast

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.errors import Overloaded, Unavailable, VoxmeshError
from voxmesh_runtime.upstreams import ServerFailure
from voxmesh_stt_openai_audio.answers import Answer, cleaned_part
from voxmesh_stt_openai_audio.events import StreamedText
from voxmesh_stt_openai_audio.failures import Asked, to_error
from voxmesh_stt_openai_audio.server import Form, Server
from voxmesh_stt_openai_audio.settings import OpenAiAudioSettings

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Progress:
    """How far a final has come, for when its deadline strikes."""

    is_sent: bool = False
    failure: ServerFailure | None = None
    """Of the attempt before."""


@dataclass(slots=True)
class Calls:
    """Transcriptions of one server; used on one loop.

    Finals take any free request, and an interim's if there is none; interims take what their
    share leaves free, or are dropped.
    """

    server: Server
    settings: OpenAiAudioSettings
    _slots: asyncio.Semaphore = field(init=False)
    _interims: list[asyncio.Task[Any]] = field(default_factory=list[asyncio.Task[Any]], init=False)
    """The oldest first."""

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.settings.max_concurrent_requests)

    async def interim(self, samples: Samples, form: Form) -> Answer | None:
        """What is heard so far; None when the server has no room for it, fails or takes too long."""
        if self._slots.locked() or len(self._interims) >= self.settings.interim_limit:
            return None
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._interims.append(task)
        written = StreamedText()
        try:
            async with self._slots, asyncio.timeout(self.settings.interim_timeout_s):
                return await self.server.transcribe(samples, form, written)
        except TimeoutError:
            # What the server has written by now is worth showing.
            text = cleaned_part(written.text)
            return Answer(text, is_streamed=True) if text else None
        except ServerFailure as failure:
            log.info("an interim request failed", extra={"reason": failure.problem})
            return None
        finally:
            if task in self._interims:
                self._interims.remove(task)

    async def final(self, samples: Samples, form: Form) -> Answer:
        """The text of an utterance.

        Raises:
            InvalidArgument: the server refuses what the caller asked for.
            FailedPrecondition: it refuses the key, the model or the settings' fields.
            Overloaded: it is at its limit.
            Unavailable: it fails, cannot be reached or gives no answer in time.
        """
        asked = Asked(self.settings.shown_url, self.server.model, form.language, bool(form.prompt))
        progress = _Progress()
        try:
            async with asyncio.timeout(self.settings.timeout_s):
                if self._slots.locked() and self._interims:
                    self._interims.pop(0).cancel()
                async with self._slots:
                    progress.is_sent = True
                    return await self._retrying(progress)(self.server.transcribe, samples, form)
        except ServerFailure as failure:
            raise to_error(failure, asked) from failure
        except TimeoutError:
            raise self._too_late(progress, asked) from progress.failure

    def _too_late(self, progress: _Progress, asked: Asked) -> VoxmeshError:
        limit_s = self.settings.timeout_s
        if progress.failure is not None:
            return to_error(progress.failure, asked)
        if not progress.is_sent:
            count = self.settings.max_concurrent_requests
            return Overloaded(f"all {count} requests that the server may get were in use for {limit_s:g} s; try later")
        problem = f"the server gave no answer within {limit_s:g} s"
        return Unavailable(f"{problem}; try again, or raise VOXMESH_OPENAI_AUDIO_TIMEOUT_S")

    def _retrying(self, progress: _Progress) -> AsyncRetrying:
        settings = self.settings
        backoff = wait_random_exponential(multiplier=0.1, max=settings.retry_max_wait_s)

        def may_pass(error: BaseException) -> bool:
            if not isinstance(error, ServerFailure) or not error.is_transient:
                return False
            progress.failure = error
            return (error.retry_after_s or 0.0) <= settings.retry_max_wait_s

        def wait_s(state: RetryCallState) -> float:
            # Never sooner than asked, and not all at the same moment.
            asked_s = progress.failure.retry_after_s if progress.failure is not None else None
            return max(asked_s or 0.0, backoff(state))

        return AsyncRetrying(
            stop=stop_after_attempt(settings.retry_attempts),
            retry=retry_if_exception(may_pass),
            wait=wait_s,
            before_sleep=_log_retry,
            reraise=True,
        )


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome is not None else None
    reason = error.problem if isinstance(error, ServerFailure) else ""
    log.info("asking the server again", extra={"attempt": state.attempt_number, "reason": reason})
