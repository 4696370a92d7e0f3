"""The files of the model: where they are, and which of them are missing.

FOLDER
 ├─ config.json                  ids of blank and start, size of the prediction network
 └─ assets/
     ├─ encoder.onnx             and its weights, some 360 files beside it
     ├─ ctc_decoder.onnx
     ├─ rnnt_decoder.onnx, joint_enc.onnx, joint_pred.onnx, joint_pre_net.onnx
     ├─ joint_post_net_<language>.onnx
     └─ vocab.json, language_masks.json
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.models import HubSnapshot, InvalidSourceError, LocalPath, ModelError, ModelStore, parse_source
from voxmesh_stt_indic_conformer.languages import LANGUAGES

DEFAULT_MODEL = "ai4bharat/indic-conformer-600m-multilingual"
LICENSE = "MIT"

Decoder = Literal["rnnt", "ctc"]

_ASSETS = {
    "ctc": ("encoder.onnx", "ctc_decoder.onnx", "language_masks.json", "vocab.json"),
    "rnnt": (
        "encoder.onnx",
        "rnnt_decoder.onnx",
        "joint_enc.onnx",
        "joint_pred.onnx",
        "joint_pre_net.onnx",
        *(f"joint_post_net_{language}.onnx" for language in LANGUAGES),
        "vocab.json",
    ),
}

_ACCESS = (
    "The model is gated: accept its terms on its page of the hub and set HF_TOKEN to a token of that account, "
    "or give the path of a folder with its files as the model"
)


@dataclass(frozen=True, slots=True)
class Ids:
    """Numbers of the model's `config.json`, with the published model's where it has none."""

    blank: int = 256
    """Comes after the tokens of a language."""
    start: int = 5632
    """Begins each sequence of the prediction network."""
    max_symbols: int = 10
    """Tokens that one step may emit."""
    layers: int = 2
    """Of the prediction network."""
    width: int = 640
    """Of the prediction network's state."""


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model whose files are all there."""

    name: str
    license: str
    path: Path

    def graph(self, name: str) -> Path:
        """The file of a graph."""
        return self.path / "assets" / f"{name}.onnx"

    def read_json(self, name: str) -> Any:
        """What a file of the folder holds.

        Raises:
            FailedPrecondition: it is no JSON.
        """
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except ValueError as error:
            raise FailedPrecondition("model", self.name, f"{self.path / name} is no JSON: {error}") from error

    def ids(self) -> Ids:
        """The numbers of `config.json`.

        Raises:
            FailedPrecondition: it is no object of whole numbers.
        """
        config = self.read_json("config.json")
        keys = {
            "blank": "BLANK_ID",
            "start": "SOS",
            "max_symbols": "RNNT_MAX_SYMBOLS",
            "layers": "PRED_RNN_LAYERS",
            "width": "PRED_RNN_HIDDEN_DIM",
        }
        try:
            return Ids(**{field: int(config[key]) for field, key in keys.items() if key in config})
        except (TypeError, ValueError) as error:
            problem = f"{self.path / 'config.json'} does not hold whole numbers: {error}"
            raise FailedPrecondition("model", self.name, problem) from error


def find_model(wanted: str | None, decoder: Decoder, cache_dir: Path) -> ModelFolder:
    """The operator's model: a folder, or a repository of the hub, which is fetched if it is not in the cache.

    Raises:
        FailedPrecondition: it is not to be had, or files of it are missing; each is named.
    """
    folder = Path(wanted).expanduser() if wanted else None
    if folder is not None and folder.is_dir():
        return _complete(ModelFolder(folder.resolve().name, "unknown", folder), decoder)
    source = _source(wanted or DEFAULT_MODEL)
    try:
        path = ModelStore(cache_dir).fetch(source)
    except ModelError as error:
        raise FailedPrecondition("model", str(wanted or DEFAULT_MODEL), f"{error}. {_ACCESS}") from error
    if isinstance(source, LocalPath):
        return _complete(ModelFolder(path.resolve().name, "unknown", path), decoder)
    license_name = LICENSE if source.repo == DEFAULT_MODEL else "unknown"
    return _complete(ModelFolder(source.repo, license_name, path), decoder)


def _source(wanted: str) -> HubSnapshot | LocalPath:
    try:
        source = parse_source(wanted if ":" in wanted or wanted.startswith(("/", ".", "~")) else f"hub:{wanted}")
    except InvalidSourceError as error:
        message = f"{error}; give a folder, or a repository such as {DEFAULT_MODEL!r}"
        raise FailedPrecondition("model", wanted, message) from error
    match source:
        case HubSnapshot(repo, revision):
            return HubSnapshot(repo, revision, ("config.json", "assets/*"))
        case LocalPath():
            return source
        case _:
            message = f"{wanted!r} is no folder; give one, or a repository such as {DEFAULT_MODEL!r}"
            raise FailedPrecondition("model", wanted, message)


def _complete(folder: ModelFolder, decoder: Decoder) -> ModelFolder:
    names = ("config.json", *(f"assets/{name}" for name in _ASSETS[decoder]))
    missing = [name for name in names if not (folder.path / name).is_file()]
    if missing:
        message = f"model folder {folder.path} lacks {', '.join(missing)}, which the {decoder} decoder needs"
        raise FailedPrecondition("model", folder.name, message)
    return folder
