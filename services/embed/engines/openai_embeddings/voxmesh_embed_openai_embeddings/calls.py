"""Steps as requests: in parts that the server takes, tried again, cut where a text is too long, bounded in time."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from voxmesh_embed.engine import Vector
from voxmesh_embed.lengths import guessed_tokens
from voxmesh_embed_openai_embeddings.answers import Answer
from voxmesh_embed_openai_embeddings.failures import Asked, to_error
from voxmesh_embed_openai_embeddings.server import Server
from voxmesh_embed_openai_embeddings.settings import OpenAiEmbeddingsSettings
from voxmesh_embed_openai_embeddings.texts import is_refused_input, is_too_long, kept_share, shared
from voxmesh_runtime.errors import Unavailable
from voxmesh_runtime.upstreams import ServerFailure

log = logging.getLogger(__name__)

_MOST_CUTS = 12


@dataclass(frozen=True, slots=True)
class _Input:
    """One text on its way."""

    content: str
    truncated: bool = False


@dataclass(slots=True)
class Calls:
    """Vectors of one server; used on one loop."""

    server: Server
    settings: OpenAiEmbeddingsSettings
    max_tokens: int
    _slots: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.settings.max_concurrent_requests)

    async def embed(self, texts: Sequence[str]) -> list[Vector | Exception]:
        """The vectors of texts, in order; an error in place of one that there is none of."""
        size = self.settings.max_texts
        inputs = [_Input(text) for text in texts]
        parts = [self._part(inputs[start : start + size]) for start in range(0, len(inputs), size)]
        return [result for part in await asyncio.gather(*parts) for result in part]

    async def _part(self, inputs: Sequence[_Input]) -> Sequence[Vector | Exception]:
        """What one request answers; where it fails, each text has the error."""
        timeout_s = self.settings.request_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                return await self._answered(inputs)
        except TimeoutError:
            problem = f"the server gave no vectors within {timeout_s:g} s; try again, or raise "
            return [Unavailable(problem + "VOXMESH_OPENAI_EMBEDDINGS_REQUEST_TIMEOUT_S")] * len(inputs)
        except ServerFailure as failure:
            return [to_error(failure, Asked(self.settings.shown_url, self.server.model))] * len(inputs)

    async def _answered(self, inputs: Sequence[_Input]) -> Sequence[Vector | Exception]:
        try:
            answer = await self._tried([text.content for text in inputs])
        except ServerFailure as failure:
            if not is_refused_input(failure):
                raise
            if len(inputs) > 1:
                return await self._halves(inputs)
            return [await self._cut(inputs[0], failure)]
        return self._vectors(inputs, answer)

    async def _halves(self, inputs: Sequence[_Input]) -> list[Vector | Exception]:
        """One text is to blame: the others, which may be of other callers, are asked for apart from it."""
        middle = len(inputs) // 2
        halves = await asyncio.gather(self._part(inputs[:middle]), self._part(inputs[middle:]))
        return [*halves[0], *halves[1]]

    async def _cut(self, text: _Input, failure: ServerFailure) -> Vector:
        """A text without its end, as long as the server takes it."""
        for _ in range(_MOST_CUTS):
            kept = int(len(text.content) * kept_share(failure))
            if not is_too_long(failure) or not kept:
                break
            text = replace(text, content=text.content[:kept], truncated=True)
            try:
                return self._vectors([text], await self._tried([text.content]))[0]
            except ServerFailure as next_failure:
                failure = next_failure
        raise failure

    async def _tried(self, texts: Sequence[str]) -> Answer:
        """The answer to one request, which is sent again while the server fails in a way that may pass."""
        settings = self.settings
        for attempt in range(1, settings.retry_attempts + 1):
            try:
                async with self._slots:
                    return await self.server.embed(texts)
            except ServerFailure as failure:
                own_s = min(settings.retry_max_wait_s, random.uniform(0.05, 0.2) * attempt)  # noqa: S311 # spreads retries
                wait_s = failure.retry_after_s or own_s
                is_last = attempt == settings.retry_attempts or wait_s > settings.retry_max_wait_s
                if not failure.is_transient or is_last:
                    raise
                log.info("asking the server again", extra={"attempt": attempt, "reason": failure.problem})
            await asyncio.sleep(wait_s)
        raise AssertionError("the last attempt returns or raises")

    def _vectors(self, inputs: Sequence[_Input], answer: Answer) -> list[Vector]:
        guesses = [guessed_tokens([text.content], self.max_tokens) for text in inputs]
        counts = shared(answer.token_count, guesses, self.max_tokens) if answer.token_count else guesses
        return [
            Vector(values, count, text.truncated)
            for values, count, text in zip(answer.vectors, counts, inputs, strict=True)
        ]
