"""Qwen3-Reranker as a ranking engine of the embedding service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from voxmesh_embed.engine import EngineInfo, Pair, Score
from voxmesh_embed_qwen_reranker.settings import QwenRerankerSettings
from voxmesh_runtime.devices import OnDevice
from voxmesh_runtime.engine import EngineContext, ModelFacts
from voxmesh_runtime.models import Checkpoint, Published

if TYPE_CHECKING:
    # Importing the libraries takes seconds, in which the server should already say that it loads.
    from voxmesh_embed_qwen_reranker.loading import Loaded

PUBLISHED = Published(
    "Qwen3-Reranker",
    ("Qwen/Qwen3-Reranker-0.6B", "Qwen/Qwen3-Reranker-4B", "Qwen/Qwen3-Reranker-8B"),
    "Apache-2.0",
    ("*.json", "*.safetensors", "*.txt"),
)


class QwenRerankerEngine:
    """One tokenizer and one network; see `voxmesh_embed.engine.RankingEngine`."""

    def __init__(self, context: EngineContext, settings: QwenRerankerSettings) -> None:
        self._context = context
        self._settings = settings
        self._checkpoint = PUBLISHED.find(context.model)
        self._model: Loaded | None = None
        self.info = EngineInfo(_facts(self._checkpoint), settings.max_tokens, ranks=True)

    def load(self) -> None:
        """Load the model; does nothing when it is loaded.

        Raises:
            ModelError: its files are not to be had.
            FailedPrecondition: they are none of such a model, or the operator's device fails.
        """
        if self._model is not None:
            return
        from voxmesh_embed_qwen_reranker.loading import load_model  # noqa: PLC0415 # as above

        found = load_model(self._checkpoint, self._context, self._settings)
        self._model = found.model
        self.info = _info(self._checkpoint, found)

    def warm_up(self) -> None:
        """Score a short and a longer document."""
        self.score([Pair("warm", "warm"), Pair("warm", "warm " * 100)])

    def score(self, pairs: Sequence[Pair]) -> list[Score]:
        """The scores of the pairs; see `voxmesh_embed.engine.RankingEngine.score`."""
        if self._model is None:
            raise RuntimeError("load() comes before the first use")
        prompts = self._model.prompts.of(pairs, self._settings.instruction)
        yes, no = self._model.prompts.yes, self._model.prompts.no
        values = self._model.network.probabilities([prompt.ids for prompt in prompts], yes, no)
        return [Score(value, prompt.count, prompt.truncated) for value, prompt in zip(values, prompts, strict=True)]

    def close(self) -> None:
        """Free the model."""
        self._model = None


def _info(checkpoint: Checkpoint, found: OnDevice[Loaded]) -> EngineInfo:
    model = found.model
    return EngineInfo(
        _facts(checkpoint, found.device, found.reason),
        model.max_tokens - model.prompts.around,
        ranks=True,
        instruction=True,
        tokens_around=model.prompts.around,
        max_batch_tokens=model.max_batch_tokens,
    )


def _facts(checkpoint: Checkpoint, device: str = "cpu", reason: str = "") -> ModelFacts:
    return ModelFacts(
        model=checkpoint.name,
        license=checkpoint.license,
        device=device,
        device_reason=reason,
    )
