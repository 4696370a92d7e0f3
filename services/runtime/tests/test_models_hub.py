"""Snapshots come from a hub without the code that lies beside the weights."""

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from voxmesh_runtime.models import CodeRefusedError, HubSnapshot, ModelStore, ModelUnavailableError

pytestmark = pytest.mark.unit

COMMIT = "5eb144179a02acc5e5ba31e748d22b0cf3e303b0"
FILES = {
    "config.json": b"{}",
    "model.bin": b"weights" * 10_000,
    "modeling.py": b"raise SystemExit('code of a repository ran')",
    "nested/extra.PY": b"raise SystemExit('code of a repository ran')",
}
MODEL = HubSnapshot("org/tiny")


class Hub(ThreadingHTTPServer):
    """Speaks as much of the hub's interface as huggingface_hub needs for one repository."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Page)
        self.asked: list[str] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Page(BaseHTTPRequestHandler):
    """The repository's description, its tree and its files."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # named by the base class
        """Stay quiet."""

    def _answer(self) -> None:
        assert isinstance(self.server, Hub)
        self.server.asked.append(self.path)
        path = self.path.partition("?")[0]
        name = path.removeprefix(f"/org/tiny/resolve/{COMMIT}/")
        tree = [{"type": "file", "path": file, "size": len(data), "oid": file} for file, data in FILES.items()]
        if path == "/api/models/org/tiny/revision/main":
            self._send(200, json.dumps({"id": "org/tiny", "sha": COMMIT, "siblings": []}).encode())
        elif path == f"/api/models/org/tiny/tree/{COMMIT}":
            self._send(200, json.dumps(tree).encode())
        elif name in FILES:
            self._send(200, FILES[name], name)
        else:
            self._send(404, b"{}")

    def _send(self, status: int, body: bytes, name: str = "api") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{name.replace("/", "-")}"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def store(hub: Hub, tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path, hub_endpoint=hub.endpoint)


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_snapshot_holds_every_file_but_code(store: ModelStore) -> None:
    folder = store.fetch(MODEL)
    assert names(folder) == ["config.json", "model.bin"]
    assert (folder / "model.bin").read_bytes() == FILES["model.bin"]


def test_a_cached_snapshot_needs_no_hub(store: ModelStore, hub: Hub, tmp_path: Path) -> None:
    folder = store.fetch(MODEL)
    asked = len(hub.asked)
    assert store.fetch(MODEL) == folder
    assert ModelStore(tmp_path, offline=True).fetch(MODEL) == folder
    assert len(hub.asked) == asked


def test_only_files_that_are_asked_for_are_fetched(store: ModelStore, hub: Hub) -> None:
    assert names(store.fetch(HubSnapshot("org/tiny", COMMIT, ("*.bin",)))) == ["model.bin"]
    assert not any(path.endswith("config.json") for path in hub.asked)


def test_more_files_of_a_cached_snapshot_are_fetched(store: ModelStore) -> None:
    store.fetch(HubSnapshot("org/tiny", "main", ("*.bin",)))
    assert names(store.fetch(MODEL)) == ["config.json", "model.bin"]


def test_code_is_fetched_when_it_is_allowed_by_name(store: ModelStore) -> None:
    allowed = HubSnapshot("org/tiny", "main", ("*.bin",), allow_code=("modeling.py",))
    assert names(store.fetch(allowed)) == ["model.bin", "modeling.py"]
    with pytest.raises(CodeRefusedError, match=r"modeling\.py in the cache is code"):
        store.fetch(MODEL)


@pytest.mark.parametrize(
    "source",
    [
        HubSnapshot("org/tiny", allow_patterns=("*.py",)),
        HubSnapshot("org/tiny", allow_patterns=("modeling.py",)),
        HubSnapshot("org/tiny", allow_code=("*.py",)),
    ],
)
def test_code_is_not_allowed_by_patterns(store: ModelStore, hub: Hub, source: HubSnapshot) -> None:
    with pytest.raises(CodeRefusedError, match=r"is code;|by exact names only"):
        store.fetch(source)
    assert not hub.asked


def test_progress_counts_the_bytes_of_all_files(store: ModelStore) -> None:
    seen: list[int] = []
    store.fetch(MODEL, lambda done, _total: seen.append(done))
    assert seen == sorted(seen)
    assert seen[-1] == len(FILES["config.json"]) + len(FILES["model.bin"])


@pytest.mark.parametrize("source", [HubSnapshot("org/other"), HubSnapshot("org/tiny", "v9")])
def test_what_the_hub_does_not_have_is_told(store: ModelStore, source: HubSnapshot) -> None:
    with pytest.raises(ModelUnavailableError) as refused:
        store.fetch(source)
    assert str(refused.value).startswith(f"{source} cannot be fetched")


def test_patterns_that_match_nothing_are_told(store: ModelStore) -> None:
    with pytest.raises(ModelUnavailableError, match="holds no file that matches"):
        store.fetch(HubSnapshot("org/tiny", allow_patterns=("*.gguf",)))


def test_offline_says_how_to_provide_the_files(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match=r"hub:org/tiny@main .* offline.*set the model to path:"):
        ModelStore(tmp_path, offline=True).fetch(MODEL)


def test_without_huggingface_hub_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("huggingface_hub", "huggingface_hub.errors"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModelUnavailableError, match="pip install huggingface_hub"):
        ModelStore(tmp_path).fetch(MODEL)
