"""Restore a NeMo model from its file, on a device, and quietly."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

from voxmesh_runtime.errors import FailedPrecondition


def accelerator() -> str | None:
    """The first GPU that PyTorch sees."""
    import torch  # noqa: PLC0415 # seconds to import: only when a model is loaded

    return "cuda:0" if torch.cuda.is_available() else None


def restore(path: Path, device: str, threads: int) -> Any:
    """The model of a `.nemo` file, ready for inference.

    Its configuration names classes, of which NeMo makes its own alone, and its weights are read as
    data: no code of the file runs.

    Raises:
        FailedPrecondition: the file holds no speech recognition model.
    """
    import torch  # noqa: PLC0415 # the same

    models, nemo_logging = _nemo()
    nemo_logging.setLevel(logging.ERROR)
    if device == "cpu":
        torch.set_num_threads(threads)
    try:
        with warnings.catch_warnings():
            # About how the model was trained; nothing that an operator could mend.
            warnings.simplefilter("ignore")
            model = models.ASRModel.restore_from(str(path), map_location=torch.device(device))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
        name = path.stem
        message = f"model {name!r} cannot be loaded by NeMo: {type(error).__name__}: {error}"
        raise FailedPrecondition("model", name, message) from error
    if not hasattr(model, "encoder") or not hasattr(model, "preprocessor"):
        raise FailedPrecondition("model", path.stem, f"{path.stem} is a {type(model).__name__}, no speech recogniser")
    model.eval()
    model.freeze()
    return model.to(device)


def _nemo() -> tuple[Any, Any]:
    """NeMo's models and its log; 10 s and 700 MB the first time."""
    with warnings.catch_warnings():
        # Of libraries that NeMo imports, about their own future.
        warnings.simplefilter("ignore")
        from nemo.collections.asr import models  # noqa: PLC0415 # slow
        from nemo.utils import logging as nemo_logging  # noqa: PLC0415 # the same
    return models, nemo_logging
