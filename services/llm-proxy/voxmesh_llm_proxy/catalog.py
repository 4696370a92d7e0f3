"""The models that the upstream lists."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import httpx2
from openai import APIError

from voxmesh_llm_proxy.upstream import Upstream
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.quoting import quote
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
    """Model names, the default first; a server that lists none has just the configured one.

    Args:
        configured: the operator's model; None takes the first listed.
    """

    def __init__(self, upstream: Upstream, configured: str | None) -> None:
        self._upstream = upstream
        self._configured = configured
        self._listed: dict[str, int] = {}
        self._read_at = 0.0

    @property
    def default(self) -> str:
        """The model for callers that name none."""
        return self.names[0]

    @property
    def names(self) -> tuple[str, ...]:
        """All models that callers may name."""
        first = self._configured or next(iter(self._listed))
        return (first, *(name for name in self._listed if name != first))

    @property
    def context_tokens(self) -> int:
        """Context of the default model; 0 when the upstream does not tell."""
        return self._listed.get(self.default, 0)

    async def read(self) -> None:
        """Ask the upstream for its models.

        Raises:
            APIError: it does not answer, or refuses the key.
            FailedPrecondition: no model is configured, and it lists none.
        """
        self._read_at = time.monotonic()
        client = await self._upstream.client()
        try:
            page = await client.get("/models", cast_to=httpx2.Response, options={"timeout": LIST_TIMEOUT_S})
        except APIError as error:
            if getattr(error, "status_code", None) not in {404, 405, 501}:
                raise
            log.info("the upstream lists no models", extra={"configured": self._configured})
        else:
            self._listed = dict(_models(page.text))
        if self._configured is None and not self._listed:
            url = str(client.base_url)
            raise FailedPrecondition("upstream", url, "the upstream lists no models; set VOXMESH_UPSTREAM_MODEL")

    async def choose(self, wanted: str) -> str:
        """The model for a caller that wants `wanted`; empty for the default.

        Raises:
            FailedPrecondition: the upstream has it not.
        """
        if wanted and wanted not in self.names and time.monotonic() - self._read_at > REFRESH_AFTER_S:
            try:
                await self.read()
            except APIError as error:
                log.warning("the upstream's models cannot be read", extra={"error": type(error).__name__})
        if wanted and wanted not in self.names:
            names = ", ".join(self.names[:20])
            raise FailedPrecondition("model", quote(wanted), f"the upstream has no such model; it has {names}")
        return wanted or self.default


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
