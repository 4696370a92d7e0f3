"""Load model and aligner on the first device that works; importing this takes the libraries' ten seconds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from voxmesh_runtime.devices import CPU, OnDevice, load_on_first
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.models import Checkpoint
from voxmesh_stt_qwen_asr.aligner import Aligner
from voxmesh_stt_qwen_asr.backend import Backend
from voxmesh_stt_qwen_asr.settings import QwenAsrSettings
from voxmesh_stt_qwen_asr.transformers_backend import load_transformers
from voxmesh_stt_qwen_asr.vllm_backend import is_installed, load_vllm


@dataclass(frozen=True, slots=True)
class Loaded:
    """What an engine works with."""

    backend: Backend
    aligner: Aligner | None


def load_model(
    checkpoint: Checkpoint, aligner: Checkpoint | None, context: EngineContext, settings: QwenAsrSettings
) -> OnDevice[Loaded]:
    """Fetch and load the model, and the aligner if there is to be one.

    Raises:
        ModelError: the files are not to be had.
        FailedPrecondition: they are none of such a model, or the operator's device or backend fails.
    """
    torch.set_num_threads(context.threads)
    folder = checkpoint.fetch(context.cache_dir)
    aligner_folder = None if aligner is None else aligner.fetch(context.cache_dir)

    def load(device: str) -> Loaded:
        backend = _backend(folder, device, settings)
        return Loaded(backend, None if aligner_folder is None else Aligner(aligner_folder, device))

    try:
        return load_on_first(context.device, _accelerator, load)
    except (OSError, ValueError, KeyError) as error:
        # What transformers raises for files that are missing, damaged or of another kind.
        message = f"model {checkpoint.name!r} cannot be loaded as Qwen3-ASR: {error}"
        raise FailedPrecondition("model", checkpoint.name, message) from error


def _accelerator() -> str | None:
    return "cuda:0" if torch.cuda.is_available() else None


def _backend(folder: Path, device: str, settings: QwenAsrSettings) -> Backend:
    wanted = settings.backend
    if wanted == "vllm" and not is_installed():
        message = "vLLM is not installed; run: pip install 'qwen-asr[vllm]', or set the backend to transformers"
        raise FailedPrecondition("backend", wanted, message)
    if wanted == "vllm" or (wanted == "auto" and device != CPU and is_installed()):
        return load_vllm(folder, settings)
    return load_transformers(folder, device, settings)
