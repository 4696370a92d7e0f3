"""The models that the upstream lists."""

from __future__ import annotations

import logging
import time
from typing import Any

from openai import APIError
from openai.types import Model

from voxmesh_llm_proxy.upstream import Upstream
from voxmesh_runtime.errors import FailedPrecondition

log = logging.getLogger(__name__)

LIST_TIMEOUT_S = 5.0
REFRESH_AFTER_S = 5.0
"""Unknown names make the list be read again, but not more often than this."""


class Catalog:
    """Model names, the default first; a server that lists none has just the configured one.

    Args:
        configured: the operator's model; None takes the first listed.
    """

    def __init__(self, upstream: Upstream, configured: str | None) -> None:
        self._upstream = upstream
        self._configured = configured
        self._listed: tuple[Model, ...] = ()
        self._read_at = 0.0

    @property
    def default(self) -> str:
        """The model for callers that name none."""
        return self.names[0]

    @property
    def names(self) -> tuple[str, ...]:
        """All models that callers may name."""
        listed = [model.id for model in self._listed]
        first = self._configured or listed[0]
        return (first, *(name for name in listed if name != first))

    @property
    def context_tokens(self) -> int:
        """Context of the default model; 0 when the upstream does not tell."""
        model = next((model for model in self._listed if model.id == self.default), None)
        extra: dict[str, Any] = (model.model_extra or {}) if model is not None else {}
        meta: dict[str, Any] = extra.get("meta") or {}
        # As llama.cpp and vLLM tell it.
        return int(meta.get("n_ctx") or extra.get("max_model_len") or 0)

    async def read(self) -> None:
        """Ask the upstream for its models.

        Raises:
            APIError: it does not answer, or refuses the key.
            FailedPrecondition: no model is configured, and it lists none.
        """
        self._read_at = time.monotonic()
        client = await self._upstream.client()
        try:
            page = await client.models.list(timeout=LIST_TIMEOUT_S)
        except APIError as error:
            if getattr(error, "status_code", None) not in {404, 405, 501}:
                raise
            log.info("the upstream lists no models", extra={"configured": self._configured})
        else:
            self._listed = tuple(page.data or ())
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
            raise FailedPrecondition("model", wanted[:200], f"the upstream has no such model; it has {names}")
        return wanted or self.default
