"""How many tokens texts are: by the upstream's own tokenizer where it tells, else by their bytes."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from voxmesh_llm_proxy.shapes import Shape
from voxmesh_llm_proxy.upstream_errors import UpstreamFailure
from voxmesh_runtime.errors import VoxmeshError
from voxmesh_runtime.structs import Json

log = logging.getLogger(__name__)

Ask = Callable[[str, Json, float], Awaitable[Any]]
"""Posts a body to a path below the server's root and waits so many seconds; gives the answer's JSON."""

BYTES_PER_TOKEN = 3
"""Of a text that nobody counts: English has more, so that this errs on the safe side."""
TIMEOUT_S = 1.0
_REMEMBERED = 4096
_MISSING = frozenset({404, 405, 501})


def estimated(text: str) -> int:
    """Tokens of a text by its bytes."""
    return estimated_bytes(len(text.encode(errors="replace")))


def estimated_bytes(count: int) -> int:
    """Tokens of so many bytes."""
    return -(-count // BYTES_PER_TOKEN)


class TokenCounter:
    """Counts for one upstream, and remembers.

    Args:
        shape: of the server; only llama.cpp's and vLLM's tell.
        ask: the server.
    """

    def __init__(self, shape: Shape, ask: Ask) -> None:
        self._shape = shape
        self._ask = ask
        self._tells = shape in {Shape.LLAMA_CPP, Shape.VLLM}
        self._known = OrderedDict[tuple[int, int, str], int]()

    async def count(self, texts: Sequence[str], model: str) -> list[int]:
        """Tokens of each text, without what a template puts around it."""
        return await asyncio.gather(*(self._one(text, model) for text in texts))

    async def _one(self, text: str, model: str) -> int:
        # The text itself is not kept.
        key = (hash(text), len(text), model)
        if not text or not self._tells:
            return estimated(text)
        if key not in self._known:
            counted = await self._counted(text, model)
            if counted is None:
                return estimated(text)
            self._known[key] = counted
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return self._known[key]

    async def _counted(self, text: str, model: str) -> int | None:
        body: Json = {"content": text, "add_special": False}
        if self._shape is Shape.VLLM:
            body = {"model": model, "prompt": text, "add_special_tokens": False}
        try:
            answer = await self._ask("/tokenize", body, TIMEOUT_S)
        except (UpstreamFailure, VoxmeshError) as error:
            if isinstance(error, UpstreamFailure) and error.complaint.status in _MISSING:
                self._tells = False
            log.info("the upstream counts no tokens", extra={"reason": type(error).__name__})
            return None
        return _tokens_in(answer)


def _tokens_in(answer: Any) -> int | None:
    """llama.cpp gives the tokens, vLLM their number too."""
    if not isinstance(answer, dict):
        return None
    count, tokens = answer.get("count"), answer.get("tokens")
    if isinstance(count, int) and not isinstance(count, bool) and count >= 0:
        return count
    return len(tokens) if isinstance(tokens, list) else None
