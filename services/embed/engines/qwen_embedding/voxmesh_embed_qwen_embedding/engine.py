"""Qwen3-Embedding as an engine of the embedding service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from voxmesh_embed.engine import EngineInfo, Kind, Text, Vector
from voxmesh_embed_qwen_embedding.settings import QwenEmbeddingSettings
from voxmesh_runtime.devices import OnDevice
from voxmesh_runtime.engine import EngineContext, ModelFacts
from voxmesh_runtime.models import Checkpoint, Published

if TYPE_CHECKING:
    # Importing the libraries takes seconds, in which the server should already say that it loads.
    from voxmesh_embed_qwen_embedding.loading import Loaded

PUBLISHED = Published(
    "Qwen3-Embedding",
    ("Qwen/Qwen3-Embedding-0.6B", "Qwen/Qwen3-Embedding-4B", "Qwen/Qwen3-Embedding-8B"),
    "Apache-2.0",
    ("*.json", "*.safetensors", "*.txt"),
)


class QwenEmbeddingEngine:
    """One tokenizer and one network; see `voxmesh_embed.engine.EmbeddingEngine`."""

    def __init__(self, context: EngineContext, settings: QwenEmbeddingSettings) -> None:
        self._context = context
        self._settings = settings
        self._checkpoint = PUBLISHED.find(context.model)
        self._model: Loaded | None = None
        self.info = EngineInfo(_facts(self._checkpoint), settings.max_tokens)

    def load(self) -> None:
        """Load the model; does nothing when it is loaded.

        Raises:
            ModelError: its files are not to be had.
            FailedPrecondition: they are none of such a model, or the operator's device fails.
        """
        if self._model is not None:
            return
        from voxmesh_embed_qwen_embedding.loading import load_model  # noqa: PLC0415 # as above

        found = load_model(self._checkpoint, self._context, self._settings)
        self._model = found.model
        self.info = _info(self._checkpoint, found)

    def warm_up(self) -> None:
        """Embed a query and a longer text."""
        self.embed([Text("warm", Kind.QUERY), Text("warm " * 100)])

    def embed(self, texts: Sequence[Text]) -> list[Vector]:
        """The vectors of the texts; see `voxmesh_embed.engine.EmbeddingEngine.embed`."""
        if self._model is None:
            raise RuntimeError("load() comes before the first use")
        read = [self._model.tokenizer.read(text, self._settings.instruction) for text in texts]
        vectors = self._model.network.embed([tokens.ids for tokens in read])
        return [Vector(values, tokens.count, tokens.truncated) for values, tokens in zip(vectors, read, strict=True)]

    def close(self) -> None:
        """Free the model."""
        self._model = None


def _info(checkpoint: Checkpoint, found: OnDevice[Loaded]) -> EngineInfo:
    return EngineInfo(
        _facts(checkpoint, found.device, found.reason),
        # The end token takes one.
        found.model.max_tokens - 1,
        found.model.network.dimensions,
        shorter_dimensions=True,
        instruction=True,
        max_batch_tokens=found.model.max_batch_tokens,
    )


def _facts(checkpoint: Checkpoint, device: str = "cpu", reason: str = "") -> ModelFacts:
    return ModelFacts(
        model=checkpoint.name,
        license=checkpoint.license,
        device=device,
        device_reason=reason,
    )
