"""A checkpoint of the real architecture with random weights, and the engine loaded from it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from voxmesh_runtime.engine import EngineContext
from voxmesh_tts_indic_f5.engine import IndicF5Engine
from voxmesh_tts_indic_f5.model import IndicF5
from voxmesh_tts_indic_f5.settings import IndicF5Settings
from voxmesh_tts_indic_f5.testing import write_random_checkpoint
from voxmesh_tts_indic_f5.weights import Models, read_models

# As the engine does by default; on few cores that others use too, more threads wait for one another.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_checkpoint(tmp_path_factory.mktemp("indic_f5"))


@pytest.fixture
def models(checkpoint: Path) -> Models:
    return read_models(checkpoint)


@pytest.fixture
def model(models: Models) -> IndicF5:
    return IndicF5(models, "cpu", dtype=torch.float32, steps=7, seed=0)


@pytest.fixture(scope="session")
def engine(checkpoint: Path) -> IndicF5Engine:
    engine = IndicF5Engine(EngineContext(model=str(checkpoint)), IndicF5Settings(dtype="float32"))
    engine.load()
    return engine
