"""The model store: weights by name from a package index, a hub or a path, in one checked cache."""

from voxmesh_runtime.models.checkpoint import Checkpoint, Published
from voxmesh_runtime.models.errors import (
    CodeRefusedError,
    InvalidSourceError,
    ModelError,
    ModelUnavailableError,
    WrongHashError,
)
from voxmesh_runtime.models.progress import ProgressCallback, progress_bar
from voxmesh_runtime.models.shared import SMOLLM2
from voxmesh_runtime.models.sources import HubSnapshot, LocalPath, ModelSource, WheelMember, parse_source
from voxmesh_runtime.models.store import ModelStore

__all__ = [
    "SMOLLM2",
    "Checkpoint",
    "CodeRefusedError",
    "HubSnapshot",
    "InvalidSourceError",
    "LocalPath",
    "ModelError",
    "ModelSource",
    "ModelStore",
    "ModelUnavailableError",
    "ProgressCallback",
    "Published",
    "WheelMember",
    "WrongHashError",
    "parse_source",
    "progress_bar",
]
