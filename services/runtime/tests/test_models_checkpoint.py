"""A model is found by its published name, a hub's, or the folder that the operator names."""

from __future__ import annotations

from pathlib import Path

import pytest

from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.models import Checkpoint, HubSnapshot, LocalPath, Published

pytestmark = pytest.mark.unit

FILES = ("*.json",)
PUBLISHED = Published("Maker", ("maker/small", "maker/large"), "Apache-2.0", FILES)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (None, Checkpoint("maker/small", "Apache-2.0", HubSnapshot("maker/small", allow_patterns=FILES), PUBLISHED)),
        (
            "maker/large",
            Checkpoint("maker/large", "Apache-2.0", HubSnapshot("maker/large", allow_patterns=FILES), PUBLISHED),
        ),
        (
            "hub:maker/large@abc",
            Checkpoint("maker/large", "Apache-2.0", HubSnapshot("maker/large", "abc", allow_patterns=FILES), PUBLISHED),
        ),
        (
            "hub:other/one",
            Checkpoint("other/one", "unknown", HubSnapshot("other/one", allow_patterns=FILES), PUBLISHED),
        ),
        ("path:/models/mine", Checkpoint("mine", "unknown", LocalPath(Path("/models/mine")), PUBLISHED)),
    ],
)
def test_models_are_found_by_name_hub_or_path(wanted: str | None, found: Checkpoint) -> None:
    assert PUBLISHED.find(wanted) == found


@pytest.mark.parametrize("wanted", ["", "hub:nonsense", f"wheel:a==1/b.onnx#sha256={'0' * 64}"])
def test_what_is_no_folder_is_refused(wanted: str) -> None:
    with pytest.raises(FailedPrecondition):
        PUBLISHED.find(wanted)


def test_a_folder_that_lacks_a_file_is_refused_by_name(tmp_path: Path) -> None:
    checkpoint = PUBLISHED.find(str(tmp_path))
    with pytest.raises(FailedPrecondition, match=r"config\.json"):
        checkpoint.fetch(tmp_path)
    (tmp_path / "config.json").touch()
    assert checkpoint.fetch(tmp_path) == tmp_path
