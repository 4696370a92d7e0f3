"""The operator's choice of a model is found, or refused with what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_stt_indic_conformer import create
from voxmesh_stt_indic_conformer.files import DEFAULT_MODEL, Decoder, find_model
from voxmesh_stt_indic_conformer.languages import LANGUAGES

pytestmark = pytest.mark.unit

DECODERS = pytest.mark.parametrize("decoder", ["rnnt", "ctc"])


class _GatedHub(BaseHTTPRequestHandler):
    """A hub that lets nobody in."""

    def do_GET(self) -> None:  # the base class calls it so
        self.send_response(403)
        self.send_header("X-Error-Code", "GatedRepo")
        self.send_header("X-Error-Message", "Access to the model is restricted.")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815 # the base class calls it so

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # as in the base class
        del format, args


@pytest.fixture
def gated_hub() -> Generator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _GatedHub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@DECODERS
def test_a_complete_folder_is_found_under_its_own_name(decoder: Decoder, words: Path, tmp_path: Path) -> None:
    for wanted in (str(words), f"path:{words}"):
        folder = find_model(wanted, decoder, tmp_path)
        assert folder.name == "words"
        assert folder.path == words


@DECODERS
def test_every_missing_file_is_named(decoder: Decoder, words: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model"
    shutil.copytree(words, copy)
    (copy / "config.json").unlink()
    (copy / "assets" / "encoder.onnx").unlink()
    (copy / "assets" / "joint_post_net_kok.onnx").unlink()
    (copy / "assets" / "ctc_decoder.onnx").unlink()
    with pytest.raises(FailedPrecondition) as refusal:
        find_model(str(copy), decoder, tmp_path)
    names = {"config.json", "assets/encoder.onnx"}
    names |= {"assets/joint_post_net_kok.onnx"} if decoder == "rnnt" else {"assets/ctc_decoder.onnx"}
    listed = refusal.value.message.split(" lacks ")[1].split(", which")[0]
    assert set(listed.split(", ")) == names


def test_an_empty_folder_lacks_all_22_languages(tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition) as refusal:
        find_model(str(tmp_path), "rnnt", tmp_path)
    assert all(f"assets/joint_post_net_{language}.onnx" in refusal.value.message for language in LANGUAGES)
    assert len(LANGUAGES) == 22


@pytest.mark.parametrize("wanted", ["/nowhere/at/all", "./nowhere", "path:/nowhere/at/all"])
def test_a_folder_that_is_not_there_is_refused(wanted: str, tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition, match="no such file or folder"):
        find_model(wanted, "rnnt", tmp_path)


@pytest.mark.parametrize("wanted", ["one-word", "ftp:somewhere", "wheel:a==1/b#sha256=" + "0" * 64, "hub:x/y@../z"])
def test_what_names_no_folder_and_no_repository_is_refused(wanted: str, tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition, match=DEFAULT_MODEL):
        find_model(wanted, "rnnt", tmp_path)


def test_a_gated_model_is_refused_with_how_to_get_access(gated_hub: str, tmp_path: Path) -> None:
    # A process of its own, since the hub's client reads its address when it is imported.
    script = (
        "import sys; from pathlib import Path; from voxmesh_runtime.errors import FailedPrecondition\n"
        "from voxmesh_stt_indic_conformer.files import find_model\n"
        "try: find_model(None, 'rnnt', Path(sys.argv[1]))\n"
        "except FailedPrecondition as error: print(error.message)\n"
    )
    environment = {**os.environ, "HF_ENDPOINT": gated_hub, "HF_HUB_OFFLINE": "0", "HF_TOKEN": ""}
    command = [sys.executable, "-W", "ignore", "-c", script, str(tmp_path)]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout
    assert DEFAULT_MODEL in told
    assert "gated" in told
    assert "HF_TOKEN" in told
    assert "path" in told


@pytest.mark.parametrize(
    ("name", "text"), [("config.json", "{"), ("config.json", '{"SOS": "x"}'), ("config.json", "7")]
)
def test_a_config_that_is_none_is_refused(name: str, text: str, words: Path, tmp_path: Path) -> None:
    engine = create(EngineContext(model=_copy_with(words, tmp_path, name, text)))
    with pytest.raises(FailedPrecondition, match=r"config\.json"):
        engine.load()


@pytest.mark.parametrize("name", ["encoder", "rnnt_decoder", "joint_pre_net"])
def test_a_file_that_holds_no_graph_is_refused_by_name(name: str, words: Path, tmp_path: Path) -> None:
    engine = create(EngineContext(model=_copy_with(words, tmp_path, f"assets/{name}.onnx", "no graph")))
    with pytest.raises(FailedPrecondition, match=rf"cannot be loaded as IndicConformer.*{name}\.onnx"):
        engine.load()


@DECODERS
@pytest.mark.parametrize("text", ["[]", '{"hi": []}'])
def test_texts_that_lack_a_language_are_refused_with_it(
    decoder: Decoder, text: str, words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOXMESH_INDIC_CONFORMER_DECODER", decoder)
    name = "vocab.json" if decoder == "rnnt" else "language_masks.json"
    engine = create(EngineContext(model=_copy_with(words, tmp_path, f"assets/{name}", text)))
    with pytest.raises(FailedPrecondition, match=rf"{name} holds nothing for as, bn"):
        engine.load()


def _copy_with(words: Path, folder: Path, name: str, text: str) -> str:
    shutil.copytree(words, folder / "model")
    (folder / "model" / name).write_text(text)
    return str(folder / "model")
