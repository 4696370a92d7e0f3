"""The libraries of the extra `bench`, which the rest of the client does without."""

from __future__ import annotations

from importlib.util import find_spec

from voxmesh_client.bench.problems import BenchUsage

_MODULES = {
    "httpx2": "httpx2",
    "jiwer": "jiwer",
    "whisper_normalizer": "whisper-normalizer",
    "matplotlib": "matplotlib",
}
PACKAGES = tuple(_MODULES.values())


def require_extra() -> None:
    """See that the extra is installed, before anything is started.

    Raises:
        BenchUsage: it is not.
    """
    missing = [package for module, package in _MODULES.items() if find_spec(module) is None]
    if missing:
        raise BenchUsage(f"{', '.join(missing)} not installed; run: pip install 'voxmesh-client[bench]'")
