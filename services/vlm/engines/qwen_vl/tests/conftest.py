"""A checkpoint of the real architecture with random weights, made once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from voxmesh_runtime.engine import EngineContext
from voxmesh_vlm_qwen_vl.engine import QwenVlEngine
from voxmesh_vlm_qwen_vl.testing import SETTINGS, write_checkpoint

# As the engine does by default; on few cores that others use too, more threads wait for one another.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Says nothing sensible, yet always the same of the same pictures."""
    return write_checkpoint(tmp_path_factory.mktemp("qwen-vl"))


@pytest.fixture(scope="session")
def engine(checkpoint: Path) -> Iterator[QwenVlEngine]:
    """The engine with that checkpoint, loaded."""
    loaded = QwenVlEngine(EngineContext(model=str(checkpoint), device="cpu"), SETTINGS)
    loaded.load()
    yield loaded
    loaded.close()
