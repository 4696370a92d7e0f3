"""What the machine was when something was measured, without which its figures say little."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

_PACKAGES = ("voxmesh-client", "grpcio", "numpy", "jiwer", "whisper-normalizer")


@dataclass(frozen=True, slots=True)
class Machine:
    """This machine, and how busy it was before and after."""

    date: str
    cpu: str
    cores: int
    memory_gib: float
    system: str
    python: str
    packages: dict[str, str]
    load_before: tuple[float, float, float]
    """Processes that run or wait to, averaged over 1, 5 and 15 minutes."""
    load_after: tuple[float, float, float]

    @classmethod
    def now(cls, load_before: tuple[float, float, float]) -> Machine:
        """This machine, after what is measured."""
        return cls(
            date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            cpu=cpu_model(),
            cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0,
            memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
            system=f"{platform.system()} {platform.release()} {platform.machine()}",
            python=f"{platform.python_implementation()} {platform.python_version()}",
            packages={name: number for name in _PACKAGES if (number := _version(name))},
            load_before=load_before,
            load_after=load(),
        )

    def lines(self) -> list[str]:
        """The machine for a person."""
        before, after = (" ".join(f"{value:.2f}" for value in each) for each in (self.load_before, self.load_after))
        packages = ", ".join(f"{name} {number}" for name, number in self.packages.items())
        return [
            f"{self.date}: {self.cpu}, {self.cores} cores, {self.memory_gib} GiB, {self.system}, {self.python}.",
            f"Load average over 1, 5 and 15 minutes: {before} before, {after} after.",
            f"{packages}.",
        ]


def load() -> tuple[float, float, float]:
    """Load averages now."""
    return psutil.getloadavg()


def cpu_model() -> str:
    """Name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
