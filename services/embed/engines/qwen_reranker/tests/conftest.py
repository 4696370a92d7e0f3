"""A checkpoint of the real architecture, written once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from voxmesh_embed_qwen_reranker.engine import QwenRerankerEngine
from voxmesh_embed_qwen_reranker.settings import QwenRerankerSettings
from voxmesh_embed_qwen_reranker.testing import write_random_checkpoint
from voxmesh_runtime.engine import EngineContext

# As the engine does by default; on few cores that others use too, more threads wait for one another.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights, 512 tokens."""
    return write_random_checkpoint(tmp_path_factory.mktemp("qwen3-reranker"))


@pytest.fixture(scope="session")
def engine(checkpoint: Path) -> QwenRerankerEngine:
    """The engine, loaded."""
    loaded = QwenRerankerEngine(EngineContext(model=str(checkpoint)), QwenRerankerSettings())
    loaded.load()
    return loaded
