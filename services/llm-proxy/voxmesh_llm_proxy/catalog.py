"""The models that the upstream lists."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from voxmesh_llm_proxy.upstream_errors import UNREACHABLE, UpstreamFailure
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.structs import Json

log = logging.getLogger(__name__)

LIST_TIMEOUT_S = 5.0
REFRESH_AFTER_S = 5.0
"""Unknown names make the list be read again, but not more often than this."""

_LISTS = ("data", "models")
_NAMES = ("id", "name", "model")
_CONTEXTS = ("n_ctx", "max_model_len", "context_length", "context_window", "max_context_length")
_MAX_CONTEXT = 2**31 - 1


class Catalog:
    """Model names, the default first; a server that lists none has just the configured ones.

    Args:
        ask: gives the list as the server writes it.
        configured: the operator's model; None takes the first listed.
        renamed: names that callers use, and the server's name for each.
    """

    def __init__(self, ask: Callable[[], Awaitable[str]], configured: str | None, renamed: Mapping[str, str]) -> None:
        self._ask = ask
        self._configured = configured
        self._renamed = renamed
        self._listed: dict[str, int] = {}
        self._read_at = 0.0

    @property
    def is_known(self) -> bool:
        """The default is known: it is configured, or the list has been read."""
        return bool(self._configured or self._listed)

    @property
    def default(self) -> str:
        """The model for callers that name none, as the server calls it."""
        return self._configured or next(iter(self._listed), "")

    @property
    def names(self) -> tuple[str, ...]:
        """All models that callers may name; empty until it is known."""
        every = (self.default, *self._renamed, *self._listed)
        return tuple(dict.fromkeys(name for name in every if name))

    @property
    def may_be_read_again(self) -> bool:
        """The list is old enough."""
        return time.monotonic() - self._read_at > REFRESH_AFTER_S

    def model(self, wanted: str) -> str:
        """The server's name of the model that callers call `wanted`; empty is the default."""
        return self._renamed.get(wanted, wanted) if wanted else self.default

    def context_tokens(self, model: str) -> int:
        """Context of one of the server's models; 0 when the server does not tell."""
        return self._listed.get(model, 0)

    async def read(self) -> None:
        """Ask the upstream for its models.

        Raises:
            UpstreamFailure: it does not answer, or refuses the key.
            Unavailable: it is down.
            FailedPrecondition: no model is configured, and it lists none.
        """
        self._read_at = time.monotonic()
        try:
            async with asyncio.timeout(LIST_TIMEOUT_S):
                page = await self._ask()
        except TimeoutError:
            raise UpstreamFailure(UNREACHABLE) from None
        except UpstreamFailure as failure:
            if failure.complaint.status not in {404, 405, 501}:
                raise
            log.info("the upstream lists no models", extra={"configured": self._configured})
        else:
            # A list that cannot be read takes nothing away.
            self._listed = dict(_models(page)) or self._listed
        if self._configured is None and not self._listed:
            problem = "the upstream lists no models; set VOXMESH_UPSTREAM_MODEL, or `model` in the file of upstreams"
            raise FailedPrecondition("upstream", "", problem)


def _models(text: str) -> Iterator[tuple[str, int]]:
    """Names and context sizes in a list of models, whatever its shape."""
    try:
        page: Any = json.loads(text)
    except (ValueError, RecursionError):
        return
    if isinstance(page, dict):
        page = next((page[name] for name in _LISTS if isinstance(page.get(name), list)), [])
    for model in page if isinstance(page, list) else []:
        fields: Json = model if isinstance(model, dict) else {"id": model}
        name = next((fields[key] for key in _NAMES if isinstance(fields.get(key), str) and fields[key]), None)
        if name is not None:
            yield name, _context(fields)


def _context(model: Json) -> int:
    """As llama.cpp, vLLM and the gateways tell it; 0 when they do not."""
    meta = model.get("meta")
    told = [*([meta.get("n_ctx")] if isinstance(meta, dict) else []), *(model.get(name) for name in _CONTEXTS)]
    known = (value for value in told if isinstance(value, int) and not isinstance(value, bool))
    return next((value for value in known if 0 < value <= _MAX_CONTEXT), 0)
