"""A cross-encoder as a ranking engine of the embedding service."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from voxmesh_embed.engine import EngineInfo, Pair, Score
from voxmesh_embed_cross_encoder.network import Network
from voxmesh_embed_cross_encoder.pairs import Pairs
from voxmesh_embed_cross_encoder.settings import CrossEncoderSettings
from voxmesh_runtime.engine import EngineContext, ModelFacts
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.models import Checkpoint, Published

PUBLISHED = Published(
    "cross-encoder",
    ("cross-encoder/ms-marco-MiniLM-L6-v2", "cross-encoder/ms-marco-MiniLM-L12-v2"),
    "Apache-2.0",
    ("config.json", "tokenizer.json", "model.onnx*", "onnx/model.onnx*"),
    needed=("tokenizer.json",),
)
_NETWORKS = ("model.onnx", "onnx/model.onnx")


class CrossEncoder:
    """One tokenizer and one network; see `voxmesh_embed.engine.RankingEngine`."""

    def __init__(self, context: EngineContext, settings: CrossEncoderSettings) -> None:
        self._context = context
        self._settings = settings
        self._checkpoint = PUBLISHED.find(context.model)
        self._pairs: Pairs | None = None
        self._network: Network | None = None
        self.info = self._info(settings.max_tokens, 0)

    def load(self) -> None:
        """Load the model; does nothing when it is loaded.

        Raises:
            ModelError: its files are not to be had.
            FailedPrecondition: the folder holds no cross-encoder.
        """
        if self._network is not None:
            return
        folder = self._checkpoint.fetch(self._context.cache_dir)
        max_tokens = min(self._settings.max_tokens, _positions(folder))
        try:
            pairs = Pairs(folder / "tokenizer.json", max_tokens)
            network = Network(_network_file(folder, self._checkpoint), self._context.threads, pairs.pad)
            network.scores(pairs.read([Pair("warm", "warm")]))
        except FailedPrecondition:
            raise
        except Exception as error:
            # Files that are damaged or of another kind: the libraries raise what they like.
            message = f"model {self._checkpoint.name!r} cannot be loaded as a cross-encoder: {error}"
            raise FailedPrecondition("model", self._checkpoint.name, message) from error
        self._pairs, self._network = pairs, network
        self.info = self._info(max_tokens, pairs.around)

    def warm_up(self) -> None:
        """Score a longer document; the shortest was scored by `load`."""
        self.score([Pair("warm", "warm " * 100)])

    def score(self, pairs: Sequence[Pair]) -> list[Score]:
        """The scores of the pairs; instructions make no difference to these models."""
        if self._pairs is None or self._network is None:
            raise RuntimeError("load() comes before the first use")
        read = self._pairs.read(pairs)
        values = self._network.scores(read)
        return [Score(value, pair.count, pair.truncated) for value, pair in zip(values, read, strict=True)]

    def close(self) -> None:
        """Free the model."""
        self._pairs = None
        self._network = None

    def _info(self, max_tokens: int, around: int) -> EngineInfo:
        device = self._context.device
        facts = ModelFacts(
            model=self._checkpoint.name,
            license=self._checkpoint.license,
            device_reason="" if device in {"auto", "cpu"} else f"the engine runs on the CPU only, not on {device}",
        )
        return EngineInfo(
            facts,
            max_tokens - around,
            ranks=True,
            tokens_around=around,
            max_batch_tokens=self._settings.max_batch_tokens,
        )


def _network_file(folder: Path, checkpoint: Checkpoint) -> Path:
    found = next((folder / name for name in _NETWORKS if (folder / name).is_file()), None)
    if found is None:
        problem = f"{folder} holds neither {' nor '.join(_NETWORKS)}; export the model to ONNX"
        raise FailedPrecondition("model", checkpoint.name, problem)
    return found


def _positions(folder: Path) -> int:
    """Tokens that the network has places for, as its configuration says; many where it says nothing."""
    path = folder / "config.json"
    config = json.loads(path.read_text()) if path.is_file() else {}
    return int(config.get("max_position_embeddings", 1 << 20))
