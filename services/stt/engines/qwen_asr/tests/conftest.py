"""The trained checkpoint, random ones, and audio that leaves a model something to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from voxmesh_runtime.audio import Samples
from voxmesh_stt_qwen_asr.settings import QwenAsrSettings
from voxmesh_stt_qwen_asr.testing import write_random_checkpoint
from voxmesh_stt_qwen_asr.transformers_backend import TransformersBackend, load_transformers

DATA = Path(__file__).parent / "data"


# As the engine does by default; on few cores that others use too, more threads wait for one another.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def words_checkpoint() -> Path:
    """Trained on twenty spoken words; writes "cloud" for "claude" unless the context names it."""
    return DATA / "words"


@pytest.fixture(scope="session")
def random_checkpoint(words_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of some size: whatever it hears changes what it writes."""
    return write_random_checkpoint(tmp_path_factory.mktemp("random"), words_checkpoint)


@pytest.fixture(scope="session")
def words_backend(words_checkpoint: Path) -> TransformersBackend:
    return load_transformers(words_checkpoint, "cpu", QwenAsrSettings())


@pytest.fixture(scope="session")
def random_backend(random_checkpoint: Path) -> TransformersBackend:
    return load_transformers(random_checkpoint, "cpu", QwenAsrSettings(max_new_tokens=16))


@pytest.fixture(scope="session")
def minute() -> Samples:
    """A minute of noise that swells and ebbs, loudest at its beginning."""
    noise = np.random.default_rng(seed=7).standard_normal(60 * 16000) * 0.05
    swell = 1 + 0.5 * np.sin(np.arange(len(noise)) / 9000)
    swell[:16000] = 4
    return (noise * swell).astype(np.float32)
