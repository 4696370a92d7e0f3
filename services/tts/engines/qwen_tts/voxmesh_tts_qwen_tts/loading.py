"""Load the model on the first device that works; importing this takes the libraries' five seconds."""

from __future__ import annotations

import torch
from safetensors import SafetensorError

from voxmesh_runtime.devices import OnDevice, load_on_first
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.models import Checkpoint
from voxmesh_tts_qwen_tts.model import QwenTts
from voxmesh_tts_qwen_tts.settings import QwenTtsSettings


def load_model(checkpoint: Checkpoint, context: EngineContext, settings: QwenTtsSettings) -> OnDevice[QwenTts]:
    """Fetch and load the model.

    Raises:
        ModelError: the files are not to be had.
        FailedPrecondition: they are none of such a model, or the operator's device fails.
    """
    torch.set_num_threads(context.threads)
    folder = checkpoint.fetch(context.cache_dir)
    try:
        return load_on_first(context.device, _accelerator, lambda device: QwenTts(folder, device, settings))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        # What transformers and the package raise for files that are missing, damaged or of another kind.
        message = f"model {checkpoint.name!r} cannot be loaded as Qwen3-TTS: {error}"
        raise FailedPrecondition("model", checkpoint.name, message) from error


def _accelerator() -> str | None:
    return "cuda:0" if torch.cuda.is_available() else None
