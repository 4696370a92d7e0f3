"""What the machine was when a benchmark ran, without which its figures say little."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import psutil

from voxmesh_client.bench.machine import cpu_model

_PACKAGES = ("grpcio", "protobuf", "uvloop", "onnxruntime", "moonshine-voice", "hibari-tts", "xllamacpp")


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine at the start of a run."""

    date: str
    cpu: str
    cores: int
    memory_gib: float
    load: tuple[float, float, float]
    """Processes that run or wait to, averaged over 1, 5 and 15 minutes."""
    system: str
    python: str
    packages: dict[str, str]

    @classmethod
    def now(cls) -> Machine:
        """This machine, now."""
        return cls(
            date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            cpu=cpu_model(),
            cores=len(os.sched_getaffinity(0)),
            memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
            load=os.getloadavg(),
            system=f"{platform.system()} {platform.release()} {platform.machine()}",
            python=f"{platform.python_implementation()} {platform.python_version()}",
            packages={name: version(name) for name in _PACKAGES},
        )

    def lines(self) -> list[str]:
        """The machine for a person."""
        loads = " ".join(f"{load:.2f}" for load in self.load)
        return [
            f"{self.date}: {self.cpu}, {self.cores} cores, {self.memory_gib} GiB, {self.system}, {self.python}",
            f"load average at the start: {loads}",
            ", ".join(f"{name} {number}" for name, number in self.packages.items()),
        ]

    def to_json(self) -> dict[str, Any]:
        """The machine as JSON."""
        return asdict(self)
