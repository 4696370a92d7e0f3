"""The operator's choice of a model is found or refused with what to do."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_stt.engine import RecognitionOptions, Step
from voxmesh_stt_moonshine import create
from voxmesh_stt_moonshine.model import DEFAULT_MODEL, MODEL_FILES, find_model

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("wanted", [None, DEFAULT_MODEL])
def test_the_packaged_model_is_the_default_and_has_a_name(wanted: str | None) -> None:
    folder = find_model(wanted)
    assert (folder.name, folder.license) == ("moonshine/tiny-en", "MIT")
    assert all((folder.path / name).is_file() for name in MODEL_FILES)


@pytest.mark.parametrize("wanted", ["moonshine/base-en", "hub:someone/else", "", "a\0b"])
def test_another_name_is_refused(wanted: str) -> None:
    with pytest.raises(FailedPrecondition, match=r"give 'moonshine/tiny-en' or a folder"):
        find_model(wanted)


def test_a_folder_that_lacks_a_file_is_refused_by_the_name_of_the_file(tmp_path: Path) -> None:
    for name in MODEL_FILES[:2]:
        (tmp_path / name).touch()
    with pytest.raises(FailedPrecondition, match=r"has no tokenizer\.bin"):
        find_model(str(tmp_path))


def test_files_that_hold_no_model_are_refused(tmp_path: Path) -> None:
    for name in MODEL_FILES:
        (tmp_path / name).write_bytes(b"no model")
    engine = create(EngineContext(model=str(tmp_path)))
    with pytest.raises(FailedPrecondition, match="cannot be loaded as Moonshine tiny"):
        engine.load()


def test_a_folder_with_the_same_files_is_served_under_its_own_name(tmp_path: Path) -> None:
    copy = tmp_path / "my-model"
    shutil.copytree(find_model(None).path, copy)
    engine = create(EngineContext(model=str(copy)))
    engine.load()
    session = engine.open(RecognitionOptions())
    ((transcript,),) = engine.step([Step(session, np.zeros(1600, np.float32), is_final=True)])
    assert engine.info.facts.model == "my-model"
    assert transcript.text == ""
    session.close()
    engine.close()


def test_a_device_that_the_engine_lacks_is_explained() -> None:
    facts = create(EngineContext(device="cuda:0")).info.facts
    assert facts.device == "cpu"
    assert "cuda:0" in facts.device_reason
