"""The engine on the real model, loaded once, and a checkpoint of the real architecture that is quickly loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.settings import ServerSettings
from voxmesh_tts_kokoro.engine import KokoroEngine
from voxmesh_tts_kokoro.onnx_backend import vocabulary
from voxmesh_tts_kokoro.settings import KokoroSettings
from voxmesh_tts_kokoro.torch_backend import read_model

# As the engine does by default; on few cores that others use too, more threads wait for one another.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def cache_dir() -> Path:
    """Where weights are kept from one run to the next."""
    return ServerSettings().cache_dir


@pytest.fixture(scope="session")
def kokoro(cache_dir: Path) -> KokoroEngine:
    """The published model in int8, with one blend."""
    settings = KokoroSettings(backend="onnx", blends=("af_heart:0.6+bf_emma:0.4",))
    engine = KokoroEngine(EngineContext(cache_dir=cache_dir), settings)
    engine.load()
    return engine


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the published one is, 0.6 MB: its tensors are views of one small storage of random numbers."""
    folder = tmp_path_factory.mktemp("kokoro")
    config, empty = folder / "config.json", folder / "empty.pth"
    config.write_text(json.dumps(_config()))
    torch.save({}, empty)
    model = read_model(config, empty)
    empty.unlink()
    torch.manual_seed(0)
    numbers = (torch.randn(20_000) * 0.03).half()
    parts = ("bert", "bert_encoder", "predictor", "text_encoder", "decoder")
    weights = {part: _small(getattr(model, part).state_dict(), numbers) for part in parts}
    torch.save(weights, folder / "random.pth")
    return folder


def _small(weights: dict[str, torch.Tensor], numbers: torch.Tensor) -> dict[str, torch.Tensor]:
    return {name: _view(weight, numbers) if weight.dim() > 1 else weight.clone() for name, weight in weights.items()}


def _view(weight: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    strides = [max(1, 17 * axis % 29) for axis in range(1, weight.dim() + 1)]
    reach = sum((size - 1) * stride for size, stride in zip(weight.shape, strides, strict=True))
    return numbers.as_strided(weight.shape, strides if reach < len(numbers) else [1] * weight.dim())


def _config() -> dict[str, Any]:
    """The published configuration, as small as the library's fixed widths allow."""
    return {
        "dim_in": 64,
        "dropout": 0.2,
        "hidden_dim": 512,
        "max_conv_dim": 512,
        "max_dur": 4,  # random weights speak half of it a phoneme
        "multispeaker": True,
        "n_layer": 1,
        "n_mels": 80,
        "n_token": 178,
        "style_dim": 128,
        "text_encoder_kernel_size": 5,
        "istftnet": {
            "upsample_kernel_sizes": [20, 12],
            "upsample_rates": [10, 6],
            "gen_istft_hop_size": 5,
            "gen_istft_n_fft": 20,
            "resblock_dilation_sizes": [[1, 3, 5]],
            "resblock_kernel_sizes": [3],
            "upsample_initial_channel": 512,
        },
        "plbert": {
            "hidden_size": 32,
            "num_attention_heads": 2,
            "intermediate_size": 64,
            "max_position_embeddings": 512,
            "num_hidden_layers": 1,
            "dropout": 0.1,
        },
        "vocab": dict(vocabulary()),
    }
