"""The operator's choice of a model is found or refused with what to do, before anything is loaded."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.models import HubSnapshot
from voxmesh_stt.engine import RecognitionOptions, Step
from voxmesh_stt.settings import SttSettings
from voxmesh_stt_faster_whisper import create
from voxmesh_stt_faster_whisper.languages import Wanted
from voxmesh_stt_faster_whisper.sources import fetch, find_model

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("wanted", [None, "tiny.en", "whisper/tiny.en"])
def test_the_packaged_model_is_the_default(wanted: str | None) -> None:
    choice = find_model(wanted)
    assert (choice.name, choice.license, choice.source) == ("whisper/tiny.en", "MIT", None)


@pytest.mark.parametrize(
    ("wanted", "name", "repo", "revision"),
    [
        ("large-v3", "whisper/large-v3", "Systran/faster-whisper-large-v3", "main"),
        ("whisper/small", "whisper/small", "Systran/faster-whisper-small", "main"),
        ("someone/whisper-kannada", "someone/whisper-kannada", "someone/whisper-kannada", "main"),
        ("hub:someone/whisper@v2", "someone/whisper@v2", "someone/whisper", "v2"),
    ],
)
def test_models_of_a_hub_go_by_name(wanted: str, name: str, repo: str, revision: str) -> None:
    choice = find_model(wanted)
    assert isinstance(choice.source, HubSnapshot)
    assert (choice.name, choice.source.repo, choice.source.revision) == (name, repo, revision)
    assert "model.bin" in choice.source.allow_patterns


@pytest.mark.parametrize("wanted", ["large-v9", "", "ftp:model", "wheel:a==1/b#sha256=00", "a\0b"])
def test_another_name_is_refused(wanted: str) -> None:
    with pytest.raises(FailedPrecondition):
        find_model(wanted)


def test_a_folder_that_lacks_files_is_refused_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FailedPrecondition, match=r"holds no model\.bin, tokenizer\.json, vocabulary\.txt"):
        fetch(find_model(str(tmp_path)), tmp_path)


def test_files_of_another_model_are_refused(tmp_path: Path) -> None:
    for name in ("model.bin", "tokenizer.json", "vocabulary.txt"):
        (tmp_path / name).touch()
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FailedPrecondition, match="is no Whisper model of CTranslate2"):
        create(EngineContext(model=str(tmp_path), device="cpu")).load()


def test_a_folder_with_the_same_files_is_served_under_its_own_name_and_frees_its_model(tmp_path: Path) -> None:
    folder = tmp_path / "my-whisper"
    folder.mkdir()
    for path in fetch(find_model(None), SttSettings().cache_dir).values():
        shutil.copy(path, folder)
    engine = create(EngineContext(model=str(folder), device="cpu"))
    engine.load()
    session = engine.open(RecognitionOptions())
    ((transcript,),) = engine.step([Step(session, np.zeros(1600, np.float32), is_final=True)])
    assert (engine.info.facts.model, engine.info.facts.language_codes) == ("my-whisper", ("en",))
    assert (engine.info.facts.device, engine.info.mixed_languages) == ("cpu", False)
    assert transcript.text == ""
    session.close()
    engine.close()


def test_tags_become_whispers_codes_and_come_back_as_they_were() -> None:
    wanted = Wanted.of(["kn-IN", "jv", "EN"])
    assert wanted.codes == ("kn", "jw", "en")
    assert [wanted.tag(code) for code in (*wanted.codes, "ta")] == ["kn-IN", "jv", "EN", "ta"]
    assert Wanted.of([]).tag("jw") == "jv"
