"""Requests to the server: what it lists, and the vectors of several texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from voxmesh_embed_openai_embeddings.answers import Answer, answer_of
from voxmesh_embed_openai_embeddings.settings import OpenAiEmbeddingsSettings
from voxmesh_runtime.http_upstream import HttpUpstream

_MAX_ANSWER_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Listed:
    """A model that the server lists."""

    name: str
    max_tokens: int | None = None


class Server:
    """One address with one model; used on one event loop."""

    def __init__(self, settings: OpenAiEmbeddingsSettings) -> None:
        self.model = ""
        self.encoding_format = "base64"
        self.dimensions: int | None = None
        """Of every vector; None until one was seen."""
        self._settings = settings
        self._http = HttpUpstream(
            settings.base_url, settings.api_key, settings.connect_timeout_s, settings.max_concurrent_requests + 1
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def models(self) -> tuple[Listed, ...]:
        """The models that the server lists.

        Raises:
            ServerFailure: it does not answer, or has no list.
        """
        return tuple(_listed(model) for model in await self._http.listed())

    async def embed(self, texts: Sequence[str], shorter: int | None = None) -> Answer:
        """The vectors of texts, in their order.

        Args:
            texts: at least one.
            shorter: dimensions to ask for; unset takes the model's own.

        Raises:
            ServerFailure: there are none, or they are not what was asked for.
        """
        body: dict[str, Any] = {
            **self._settings.extra_fields,
            "model": self.model,
            "input": list(texts),
            "encoding_format": self.encoding_format,
        }
        if shorter is not None:
            body["dimensions"] = shorter
        answer = await self._http.asked("POST", "/embeddings", most_bytes=_MAX_ANSWER_BYTES, json=body)
        return answer_of(answer, len(texts), shorter or self.dimensions)


def _listed(model: dict[str, Any]) -> Listed:
    longest = model.get("max_model_len")
    return Listed(str(model["id"]), longest if isinstance(longest, int) and longest > 0 else None)
