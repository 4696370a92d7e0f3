"""Which engines are tested together, on which pins, and in which folders.

An engine outside the default set names its environment in `[tool.voxmesh] environment`; one that names
none has its own, by its folder's name. `requirements/environments/<name>.txt` pins all that the engines of
an environment need, torch aside: which build of it fits a machine (CPU, CUDA, ROCm) is the machine's affair.
"""

from __future__ import annotations

import hashlib
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from distributions import ROOT, Distribution, distributions, with_own_distributions

LOCKS = ROOT / "requirements/environments"
HERE = ROOT / ".venvs"


@dataclass(frozen=True, slots=True)
class Environment:
    """Engines that are tested on the same packages."""

    name: str
    engines: tuple[Distribution, ...]

    @property
    def lock(self) -> Path:
        """The pins of everything but torch."""
        return LOCKS / f"{self.name}.txt"

    @property
    def folder(self) -> Path:
        """The checkout's environment: its own distributions, on the packages that the cache keeps."""
        return HERE / self.name

    @property
    def torch(self) -> str:
        """The line that pins torch; empty where no engine needs it.

        Raises:
            ValueError: two engines pin different versions; they cannot share an environment.
        """
        pins = {e.name: file.read_text().strip() for e in self.engines if (file := e.path / "torch.txt").is_file()}
        if len(set(pins.values())) > 1:
            told = ", ".join(f"{name}: {line}" for name, line in pins.items())
            raise ValueError(f"engines of the environment {self.name} pin torch differently ({told})")
        return next(iter(pins.values()), "")

    def own(self, known: Mapping[str, Distribution] | None = None) -> list[Distribution]:
        """The project's distributions that it holds, each after what it needs."""
        known = distributions() if known is None else known
        helpers = [one for one in known.values() if one.tests]
        return with_own_distributions([*self.engines, *helpers], known, tested=True)

    def key(self) -> str:
        """What tells the packages of one state of the lock, for one Python, from those of another."""
        python = f"{sysconfig.get_platform()} {sys.implementation.cache_tag}"
        return digest([self.lock.read_bytes(), self.torch.encode(), python.encode()])


def optional_engines() -> dict[str, Distribution]:
    """The engines that `make setup` does not install, by their folder's name."""
    return {d.path.name: d for d in distributions().values() if d.is_engine and not d.default}


def environments(engines: Iterable[Distribution]) -> dict[str, Environment]:
    """The environments of some engines by name, each with those of its engines that are among them.

    Raises:
        ValueError: an engine names an environment as another engine is named that is not in it.
    """
    grouped: dict[str, list[Distribution]] = {}
    for engine in engines:
        grouped.setdefault(engine.environment or engine.path.name, []).append(engine)
    for found in (engine for group in grouped.values() for engine in group):
        name = found.path.name
        if name in grouped and found not in grouped[name]:
            raise ValueError(f"the environment {name} is named like an engine outside it; name it otherwise")
    return {name: Environment(name, tuple(group)) for name, group in grouped.items()}


def digest(parts: Iterable[bytes]) -> str:
    """Twelve hexadecimal digits that change with any part."""
    found = hashlib.sha256()
    for part in parts:
        found.update(hashlib.sha256(part).digest())
    return found.hexdigest()[:12]
