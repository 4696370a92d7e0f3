"""Which data is found where, and what it reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.engines import load_engine
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_vlm.engine import Engine
from voxmesh_vlm_tesseract.tessdata import SUFFIX, Language, data_files, data_for, data_of, languages_of

pytestmark = pytest.mark.engine

NAMES = ("eng", "fra", "kan", "chi_sim", "chi_tra", "srp", "srp_latn", "jpn", "frk", "ita_old")


def engine(model: str) -> Engine:
    return load_engine("vlm", "tesseract")(EngineContext(model))


@pytest.mark.parametrize(
    ("name", "tag", "script"),
    [
        ("eng", "en", "Latn"),
        ("kan", "kn", "Knda"),
        ("hin", "hi", "Deva"),
        ("chi_sim", "zh-Hans", "Hans"),
        ("chi_tra", "zh-Hant", "Hant"),
        ("srp", "sr", "Cyrl"),
        ("srp_latn", "sr-Latn", "Latn"),
        ("aze_cyrl", "az-Cyrl", "Cyrl"),
        ("jpn", "ja", "Jpan"),
        ("kor", "ko", "Kore"),
        ("ara", "ar", "Arab"),
        ("grc", "el", "Grek"),
        ("frk", "de-Latf", "Latf"),
        ("ita_old", "it", "Latn"),
    ],
)
def test_a_file_tells_its_language_and_script(name: str, tag: str, script: str) -> None:
    assert languages_of([name]) == (Language(name, tag, script),)


@pytest.mark.parametrize("name", ["osd", "equ", "Kannada", "jpn_vert", "configs", "x"])
def test_what_is_no_language_is_left_out(name: str) -> None:
    assert languages_of([name]) == ()


@pytest.mark.parametrize(
    ("tags", "names"),
    [
        (("kn",), ("kan",)),
        (("kn-IN", "en-GB"), ("kan", "eng")),
        (("de",), ("eng",)),
        (("fr", "en"), ("fra", "eng")),
        (("zh",), ("chi_sim",)),
        (("zh-TW",), ("chi_tra",)),
        (("ta",), ()),
        ((), ()),
    ],
)
def test_languages_choose_their_data_or_another_of_their_script(tags: tuple[str, ...], names: tuple[str, ...]) -> None:
    assert data_for(tags, languages_of(NAMES)) == names


def test_a_script_has_all_its_data() -> None:
    assert data_of("Latn", languages_of(NAMES)) == ("eng", "fra", "srp_latn", "ita_old")


def test_english_kannada_and_orientation_need_nothing_but_the_packages() -> None:
    assert {"eng", "kan", "osd"} <= set(data_files([]))


def test_the_operators_folder_comes_first(tmp_path: Path) -> None:
    mine = tmp_path / f"kan{SUFFIX}"
    mine.touch()
    assert data_files([tmp_path])["kan"] == mine


def test_more_data_is_more_scripts(tmp_path: Path) -> None:
    for name in ("kan", "hin"):
        (tmp_path / f"{name}{SUFFIX}").symlink_to(data_files([])["kan"])
    found = engine(str(tmp_path))
    found.load()
    assert found.info.script_codes == ("Deva", "Knda", "Latn")
    found.close()


@pytest.mark.parametrize("model", ["hub:some/model", "path:/nowhere", "eng"])
def test_a_model_that_is_no_folder_of_data_is_refused(model: str) -> None:
    with pytest.raises(FailedPrecondition, match=r"folder of \.traineddata files"):
        engine(model)


def test_data_that_is_damaged_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    (tmp_path / f"osd{SUFFIX}").write_bytes(b"no data")
    with pytest.raises(FailedPrecondition, match="cannot load the data osd"):
        engine(str(tmp_path)).load()
