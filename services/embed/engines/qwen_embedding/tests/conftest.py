"""A checkpoint of the real architecture, written once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from voxmesh_embed_qwen_embedding.engine import QwenEmbeddingEngine
from voxmesh_embed_qwen_embedding.settings import QwenEmbeddingSettings
from voxmesh_embed_qwen_embedding.testing import write_random_checkpoint
from voxmesh_runtime.engine import EngineContext

# As the engine does by default; on few cores that others use too, more threads wait for one another.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights, 512 tokens, 48 dimensions."""
    return write_random_checkpoint(tmp_path_factory.mktemp("qwen3-embedding"))


@pytest.fixture(scope="session")
def engine(checkpoint: Path) -> QwenEmbeddingEngine:
    """The engine, loaded."""
    loaded = QwenEmbeddingEngine(EngineContext(model=str(checkpoint)), QwenEmbeddingSettings())
    loaded.load()
    return loaded
