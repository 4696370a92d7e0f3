"""Fetches files of a model repository through huggingface_hub, if that is installed, and no code.

What is in the cache is used as it is: a branch stays at the commit that was first fetched.
"""

import io
import threading
from pathlib import Path
from typing import Any

from voxmesh_runtime.models.errors import CodeRefusedError, ModelUnavailableError
from voxmesh_runtime.models.progress import ProgressCallback
from voxmesh_runtime.models.sources import HubSnapshot

_CODE_SUFFIXES = (".py", ".pyc", ".so", ".dll", ".dylib", ".sh")
# The hub's patterns heed case, and a suffix in capitals must not slip through.
_CODE_PATTERNS = tuple(
    "*." + "".join(f"[{letter}{letter.upper()}]" for letter in suffix[1:]) for suffix in _CODE_SUFFIXES
)


def fetch_snapshot(
    source: HubSnapshot, folder: Path, progress: ProgressCallback | None, *, offline: bool, endpoint: str | None
) -> Path:
    """The snapshot's folder below `folder`, from the cache or else from the hub.

    Raises:
        ModelUnavailableError: huggingface_hub is missing, or neither cache nor hub have the files.
        CodeRefusedError: the source names code that it does not allow, or such code is in the folder.
    """
    _refuse_code_patterns(source)
    failures = _failures(source)
    try:
        snapshot = _download(source, folder, None, local_files_only=True, endpoint=endpoint)
    except failures as error:
        if offline:
            raise _unavailable(source, "is not in the cache and the store is offline") from error
        try:
            snapshot = _download(source, folder, progress, local_files_only=False, endpoint=endpoint)
        except failures as online_error:
            raise _unavailable(source, f"cannot be fetched: {online_error}") from online_error
    return _checked(source, snapshot)


def _download(
    source: HubSnapshot,
    folder: Path,
    progress: ProgressCallback | None,
    *,
    local_files_only: bool,
    endpoint: str | None,
) -> Path:
    import huggingface_hub  # noqa: PLC0415 # optional, and slow to import

    # Allowed code is fetched by its own names, since whatever is ignored outweighs what is allowed.
    selections: list[tuple[list[str] | None, list[str]]] = [(list(source.allow_patterns) or None, [*_CODE_PATTERNS])]
    if source.allow_code:
        selections.append((list(source.allow_code), []))
    path = ""
    for allow, ignore in selections:
        path = huggingface_hub.snapshot_download(
            source.repo,
            revision=source.revision,
            cache_dir=folder,
            local_files_only=local_files_only,
            allow_patterns=allow,
            ignore_patterns=ignore,
            endpoint=endpoint,
            tqdm_class=_bar_class(progress),
        )
    return Path(path)


def _failures(source: HubSnapshot) -> tuple[type[BaseException], ...]:
    try:
        from huggingface_hub.errors import HfHubHTTPError  # noqa: PLC0415 # optional
    except ModuleNotFoundError as error:
        raise _unavailable(source, "needs huggingface_hub; run: pip install huggingface_hub") from error
    # Its bases are the errors of the HTTP client that this version of huggingface_hub uses.
    return (OSError, *HfHubHTTPError.__bases__)


def _bar_class(progress: ProgressCallback | None) -> type[Any]:
    """A class of silent tqdm bars that hands on how many bytes are done."""
    from tqdm.auto import tqdm  # noqa: PLC0415 # comes with huggingface_hub

    lock = threading.Lock()
    most_done = 0

    class Bar(tqdm):  # pyright: ignore[reportUntypedBaseClass] # tqdm has no types
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "file": io.StringIO(), "disable": False})

        def update(self, n: float | None = 1) -> bool | None:
            nonlocal most_done
            drawn = super().update(n)
            # One bar counts files, and of the two that count bytes one may stand still.
            with lock:
                if progress is not None and self.unit == "B" and self.n > most_done:
                    most_done = self.n
                    progress(int(self.n), int(self.total or 0))
            return drawn

    return Bar


def _refuse_code_patterns(source: HubSnapshot) -> None:
    for pattern in source.allow_patterns:
        if _is_code(pattern) and pattern not in source.allow_code:
            raise CodeRefusedError(f"{source}: {pattern} is code; list the very file in allow_code if you trust it")
    for name in source.allow_code:
        if any(wildcard in name for wildcard in "*?["):
            raise CodeRefusedError(f"{source}: allow_code holds {name}; code is allowed by exact names only")


def _checked(source: HubSnapshot, snapshot: Path) -> Path:
    if not snapshot.is_dir() or not any(snapshot.iterdir()):
        raise _unavailable(source, f"holds no file that matches {source.allow_patterns or '*'}")
    for file in snapshot.rglob("*"):
        name = file.relative_to(snapshot).as_posix()
        if _is_code(name) and name not in source.allow_code:
            raise CodeRefusedError(f"{source}: {name} in the cache is code; remove it or list it in allow_code")
    return snapshot


def _is_code(name: str) -> bool:
    return name.lower().endswith(_CODE_SUFFIXES)


def _unavailable(source: HubSnapshot, problem: str) -> ModelUnavailableError:
    return ModelUnavailableError(
        f"{source} {problem}. Without the hub, set the model to path: and the folder of its files"
    )
