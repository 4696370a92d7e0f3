"""All upstreams of the service: who is asked first, who else when that fails, and who is looked at meanwhile.

Before the first token a failure costs the caller nothing but time: the next upstream is asked. After it nothing is
asked again, for what was said cannot be taken back.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from voxmesh.llm.v1 import llm_pb2
from voxmesh_llm_proxy.circuit import State
from voxmesh_llm_proxy.messages import StreamOptions
from voxmesh_llm_proxy.settings import LlmSettings
from voxmesh_llm_proxy.upstream import Answering, Effort, Upstream, Wanted
from voxmesh_llm_proxy.upstream_errors import UpstreamFailure, is_of_the_upstream, is_transient, retry_after_s
from voxmesh_llm_proxy.warm_up import warm_up
from voxmesh_runtime.errors import FailedPrecondition, Unavailable, Unimplemented, VoxmeshError
from voxmesh_runtime.quoting import listed, quote

log = logging.getLogger(__name__)


class Pool:
    """The upstreams in the operator's order.

    Args:
        upstreams: at least one.
        settings: of the service.
        hedge_after_s: ask a second one when the first wrote nothing for so long; None never does.
    """

    def __init__(
        self, upstreams: Sequence[Upstream], settings: LlmSettings, hedge_after_s: float | None = None
    ) -> None:
        self.upstreams = upstreams
        self._settings = settings
        self._hedge_after_s = hedge_after_s
        self._wait = wait_random_exponential(multiplier=0.1, max=settings.retry_max_wait_s)
        self._tasks = dict[Upstream, asyncio.Task[Any]]()
        self._is_started = False
        self._on_lost: Callable[[], None] = lambda: None
        self._on_found: Callable[[], None] = lambda: None
        for upstream in upstreams:
            upstream.on_change = lambda upstream=upstream: self._changed(upstream)

    @property
    def first(self) -> Upstream:
        """The operator's first choice."""
        return self.upstreams[0]

    @property
    def is_able(self) -> bool:
        """An upstream is asked."""
        return any(upstream.is_up and self._allows(upstream) for upstream in self.upstreams)

    def watch(self, on_lost: Callable[[], None], on_found: Callable[[], None]) -> None:
        """`on_lost` is called when no upstream is left to be asked, `on_found` when one is again."""
        self._on_lost, self._on_found = on_lost, on_found

    async def start(self) -> None:
        """Return once an upstream has written a token; the others are waited for in the background.

        Raises:
            VoxmeshError: as `warm_up`, where none of them can ever answer.
        """
        starting = {asyncio.create_task(self._start(upstream)): upstream for upstream in self.upstreams}
        waiting, failure = set(starting), None
        try:
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                failures = [task.result() for task in done]
                if None in failures:
                    self._tasks.update({starting[each]: each for each in waiting})
                    self._is_started = True
                    waiting = set[asyncio.Task[VoxmeshError | None]]()
                    return
                failure = failure or failures[0]
        finally:
            await _cancelled(waiting)
        if failure is not None:
            raise failure

    async def close(self) -> None:
        """Close all connections, and end the server that is ours."""
        await _cancelled(self._tasks.values())
        for upstream in self.upstreams:
            await upstream.close()

    async def check_model(self, wanted: str) -> None:
        """See that an upstream has a model, by a new list where that is needed.

        Raises:
            FailedPrecondition: none has it.
        """
        if any(upstream.has_model(wanted) for upstream in self.upstreams):
            return
        old = [upstream for upstream in self.upstreams if upstream.catalog.may_be_read_again]
        await asyncio.gather(*(upstream.answers() for upstream in old))
        if not any(upstream.has_model(wanted) for upstream in self.upstreams):
            names = listed(dict.fromkeys(name for upstream in self.upstreams for name in upstream.catalog.names), 20)
            raise FailedPrecondition("model", quote(wanted), f"the upstream has no such model; it has {names}")

    def check_abilities(self, field: str, generate: llm_pb2.Generate) -> None:
        """See that an upstream takes what a generation holds.

        Raises:
            Unimplemented: none does.
        """
        if generate.tools and not any(upstream.named.tools for upstream in self.upstreams):
            raise Unimplemented("tools", f"the upstream's model takes no tools; remove {field}.tools")
        if _has_images(generate) and not any(upstream.named.images for upstream in self.upstreams):
            problem = "the upstream's model sees no images; ask a vlm service (VisionLanguageService)"
            raise Unimplemented("images", problem, ["vlm"])

    def candidates(self, options: StreamOptions, generate: llm_pb2.Generate | None = None) -> list[Upstream]:
        """Upstreams to ask, best first: those that are free, then by purpose, then in the operator's order.

        Raises:
            Unavailable: all that have the model are left; it says when the next look is.
            FailedPrecondition: none has the model, or none of those takes what the generation holds.
        """
        able = [upstream for upstream in self.upstreams if _can(upstream, options, generate)]
        if not able:
            model = options.config.model or "default"
            raise FailedPrecondition("model", quote(model), "no upstream has that model and takes this generation")
        allowed = [upstream for upstream in able if self._allows(upstream)]
        if not allowed:
            wait_s = min(upstream.circuit.look_in_s for upstream in able)
            raise Unavailable("no upstream answers; try again", max(0.5, wait_s))
        purpose = options.config.purpose
        # Sorting is stable: among equals the operator's order holds.
        return sorted(allowed, key=lambda each: (not each.is_up, each.is_resting, each.is_full, _rank(each, purpose)))

    @asynccontextmanager
    async def chat(self, wanted: Wanted, effort: Effort, owner: object) -> AsyncGenerator[Answering]:
        """The answer to a generation; leaving the block aborts what is still written.

        Args:
            wanted: the generation.
            effort: gets what it costs.
            owner: the same for all requests of one conversation.

        Raises:
            Overloaded: no slot came free in time, or every upstream is at its limit.
            InvalidArgument: the upstream refuses the request.
            FailedPrecondition: it refuses the key or has not the model.
            TimedOut: no token came in time.
            Unavailable: none can be reached, or the last one failed.
        """
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self._settings.retry_attempts),
            retry=retry_if_exception(self._may_retry),
            wait=self._wait_s,
            before_sleep=_log_retry,
            reraise=True,
        )
        try:
            answering = await retrying(self._first_to_answer, wanted, owner)
        except UpstreamFailure as failure:
            raise failure.told or Unavailable("the upstream failed; try again") from failure
        effort.sent_ns, effort.compute_s = answering.effort.sent_ns, answering.effort.compute_s
        answering.effort = effort
        try:
            yield answering
        finally:
            await answering.close()

    async def prefill(self, wanted: Wanted, owner: object) -> None:
        """Let the upstream that the next generation will most likely go to read it."""
        try:
            chosen = self.candidates(wanted.options, wanted.generate)[0]
        except VoxmeshError:
            return
        await chosen.prefill(wanted, owner)

    async def _start(self, upstream: Upstream) -> VoxmeshError | None:
        """Wait for an upstream; gives the error of one that cannot be used as it is."""
        try:
            await upstream.endpoint.start()
            await warm_up(upstream)
        except VoxmeshError as error:
            if len(self.upstreams) > 1:
                reason = {"upstream": upstream.name, "reason": error.message}
                log.error("an upstream cannot be used", extra=reason)  # noqa: TRY400 # a traceback tells an operator nothing
                upstream.circuit.open(error.message)
                self._look_at(upstream)
            return error
        return None

    async def _first_to_answer(self, wanted: Wanted, owner: object) -> Answering:
        """Ask one upstream after another until one answers; with a hedge two at once."""
        waiting = deque(self.candidates(wanted.options, wanted.generate))
        running = dict[asyncio.Task[Answering], Upstream]()
        failure: BaseException | None = None
        hedge_after_s, is_late = self._hedge_after_s, False
        try:
            while waiting or running:
                if waiting and (is_late or not running):
                    upstream = waiting.popleft()
                    running[asyncio.create_task(upstream.begin(wanted, owner))] = upstream
                limit_s = hedge_after_s if waiting else None
                done, _ = await asyncio.wait(running, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
                is_late = not done
                # Two at once are enough.
                hedge_after_s = None if is_late else hedge_after_s
                for task in done:
                    upstream = running[task]
                    failure = task.exception()
                    if failure is None:
                        del running[task]
                        return task.result()
                    del running[task]
                    if not is_of_the_upstream(failure):
                        raise failure
                    log.warning(
                        "an upstream does not answer", extra={"upstream": upstream.name, "others": len(waiting)}
                    )
        finally:
            await _let_go(running)
        raise failure or Unavailable("no upstream answers; try again")

    def _allows(self, upstream: Upstream) -> bool:
        # A single one is always asked: nobody else could answer, and it tells why it does not.
        return len(self.upstreams) == 1 or upstream.circuit.allows

    def _changed(self, upstream: Upstream) -> None:
        (self._on_found if self.is_able else self._on_lost)()
        if len(self.upstreams) == 1:
            return
        state = upstream.circuit.state
        log.info("an upstream's state", extra={"upstream": upstream.name, "state": state.name.lower()})
        task = self._tasks.get(upstream)
        # One that is still waited for is looked at by that.
        if state is State.OPEN and self._is_started and (task is None or task.done()):
            self._look_at(upstream)

    def _look_at(self, upstream: Upstream) -> None:
        self._tasks[upstream] = asyncio.create_task(_look_until_it_answers(upstream))

    def _may_retry(self, error: BaseException) -> bool:
        asked_s = retry_after_s(error)
        return is_transient(error) and (asked_s is None or asked_s <= self._settings.retry_max_wait_s)

    def _wait_s(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        # Never sooner than asked, and not all at the same moment.
        return max(retry_after_s(error) or 0.0, self._wait(state))


def _can(upstream: Upstream, options: StreamOptions, generate: llm_pb2.Generate | None) -> bool:
    if not upstream.has_model(options.config.model):
        return False
    if generate is None:
        return True
    named = upstream.named
    return (named.tools or not generate.tools) and (named.images or not _has_images(generate))


def _has_images(generate: llm_pb2.Generate) -> bool:
    return any(message.images for message in generate.messages)


def _rank(upstream: Upstream, purpose: str) -> int:
    """0 for an upstream for this purpose, 1 for one for all, 2 for one for others."""
    if purpose in upstream.named.purposes:
        return 0
    return 2 if upstream.named.purposes else 1


async def _look_until_it_answers(upstream: Upstream) -> None:
    while True:
        await asyncio.sleep(upstream.circuit.look_in_s)
        if await upstream.answers():
            break
        upstream.circuit.open(upstream.circuit.problem, is_again=True)
    upstream.circuit.answers()


async def _let_go(running: dict[asyncio.Task[Answering], Upstream]) -> None:
    """End the requests of those who came too late, or answered at the same moment as another."""
    for task in running:
        task.cancel()
    for result in await asyncio.gather(*running, return_exceptions=True):
        if isinstance(result, Answering):
            await result.close()


async def _cancelled(tasks: Iterable[asyncio.Task[Any]]) -> None:
    ended = list(tasks)
    for task in ended:
        task.cancel()
    await asyncio.gather(*ended, return_exceptions=True)


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome is not None else None
    status = error.complaint.status if isinstance(error, UpstreamFailure) else None
    log.info("asking the upstream again", extra={"attempt": state.attempt_number, "status": status})
