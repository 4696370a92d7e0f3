"""Load tokenizer and network on the first device that works; importing this takes the libraries' seconds."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from voxmesh_embed_qwen_embedding.network import Network
from voxmesh_embed_qwen_embedding.settings import QwenEmbeddingSettings
from voxmesh_embed_qwen_embedding.tokens import Tokenizer
from voxmesh_runtime.devices import CPU, OnDevice, load_on_first
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import FailedPrecondition, VoxmeshError
from voxmesh_runtime.models import Checkpoint

_CPU_BATCH_TOKENS = 512
_BATCH_TOKENS = 16384


@dataclass(frozen=True, slots=True)
class Loaded:
    """What an engine works with."""

    tokenizer: Tokenizer
    network: Network
    max_tokens: int
    max_batch_tokens: int


def load_model(checkpoint: Checkpoint, context: EngineContext, settings: QwenEmbeddingSettings) -> OnDevice[Loaded]:
    """Fetch and load the model.

    Raises:
        ModelError: the files are not to be had.
        FailedPrecondition: they are none of such a model, or the operator's device fails.
    """
    torch.set_num_threads(context.threads)
    folder = checkpoint.fetch(context.cache_dir)

    def load(device: str) -> Loaded:
        batch = settings.max_batch_tokens or (_CPU_BATCH_TOKENS if device == CPU else _BATCH_TOKENS)
        end = Tokenizer(folder, settings.max_tokens).end
        network = Network(folder, device, settings.dtype, end, batch)
        longest = min(settings.max_tokens, network.max_tokens)
        return Loaded(Tokenizer(folder, longest), network, longest, batch)

    try:
        return load_on_first(context.device, _accelerator, load)
    except VoxmeshError:
        raise
    except Exception as error:
        # Files that are missing, damaged or of another kind: the libraries raise what they like.
        message = f"model {checkpoint.name!r} cannot be loaded as Qwen3-Embedding: {error}"
        raise FailedPrecondition("model", checkpoint.name, message) from error


def _accelerator() -> str | None:
    return "cuda:0" if torch.cuda.is_available() else None
