"""One small checkpoint of each kind of the real architecture, and engines on them, loaded once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from voxmesh_runtime.engine import EngineContext
from voxmesh_tts_qwen_tts.engine import QwenTtsEngine
from voxmesh_tts_qwen_tts.model import QwenTts
from voxmesh_tts_qwen_tts.testing import SHORT, write_checkpoint

# As the engine does by default; on few cores that others use too, more threads wait for one another.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders by kind, and that of a small CustomVoice model."""
    folder = tmp_path_factory.mktemp("qwen-tts")
    found = {kind: write_checkpoint(folder / kind, kind) for kind in ("custom_voice", "voice_design", "base")}
    return {**found, "small": write_checkpoint(folder / "small", "custom_voice", size="0b6")}


@pytest.fixture(scope="session")
def engines(checkpoints: dict[str, Path]) -> dict[str, QwenTtsEngine]:
    """Loaded engines by kind."""
    found = {
        kind: QwenTtsEngine(EngineContext(model=str(folder), device="cpu"), SHORT)
        for kind, folder in checkpoints.items()
    }
    for engine in found.values():
        engine.load()
    return found


@pytest.fixture(scope="session")
def models(checkpoints: dict[str, Path]) -> dict[str, QwenTts]:
    """Models by kind."""
    return {kind: QwenTts(folder, "cpu", SHORT) for kind, folder in checkpoints.items()}
