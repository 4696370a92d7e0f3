"""What a server's processes hold and use: memory, GPU memory, CPU time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import psutil

from voxmesh.common.v1 import common_pb2

_MIB = 2**20
_KIB_PER_MIB = 1024
_FIELDS = ("Rss", "Pss", "Anonymous")
"""As `/proc/PID/smaps_rollup` names them."""
_SAMPLE_S = 0.5


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of a process and its children, in MiB; None is not measured."""

    rss_mib: float | None = None
    """Resident memory; pages that processes share count in each."""
    pss_mib: float | None = None
    """Resident memory with shared pages divided among those that share them; Linux alone tells it."""
    anonymous_mib: float | None = None
    """Memory that no neighbour can change by mapping the same files; Linux alone tells it."""
    gpu_mib: float | None = None
    """Memory on all GPUs, as NVML tells it for each process, else as the service tells it."""

    @classmethod
    def of(cls, model: common_pb2.ModelInfo) -> Self:
        """What a service tells of itself."""
        gpu_mib = model.accelerator_memory_bytes / _MIB if model.HasField("accelerator_memory_bytes") else None
        return cls(rss_mib=model.resident_memory_bytes / _MIB or None, gpu_mib=gpu_mib)

    def model_gb(self, device: str) -> float | None:
        """Gigabytes (10^9) where a model on `device` is: on its GPU, else of the process; None is not measured."""
        held = self.gpu_mib if device.startswith("cuda") else self.rss_mib
        return None if held is None else held * _MIB / 1e9

    def filled(self, told: Memory) -> Memory:
        """This, with what was not measured as the service itself tells it."""
        # NVML counts processes by the host's ids: from within a container a model on a GPU seems to hold nothing.
        own = (self.rss_mib, self.pss_mib, self.anonymous_mib, self.gpu_mib or None)
        return Memory(*(_known(mine, its) for mine, its in zip(own, astuple(told), strict=True)))

    def most(self, other: Memory) -> Memory:
        """The higher of each figure."""
        return Memory(*(_most(getattr(self, each.name), getattr(other, each.name)) for each in fields(self)))


NOT_MEASURED = Memory()


class Watch:
    """Looks at the processes of one server; nothing is measured of one that was not started here (no pid)."""

    def __init__(self, pid: int | None) -> None:
        self.pid = pid
        self.peak = NOT_MEASURED
        """The most seen at any look."""

    def look(self) -> Memory:
        """Memory now."""
        family = self._family()
        if not family:
            return NOT_MEASURED
        held = [found for process in family if (found := _held(process))]
        rss, pss, anonymous = (_total(name, held) for name in _FIELDS)
        memory = Memory(rss, pss, anonymous, gpu_memory_mib([each.pid for each in family]))
        self.peak = self.peak.most(memory)
        return memory

    def cpu_s(self) -> float | None:
        """CPU time used so far, children included."""
        family = self._family()
        spent = 0.0
        for process in family:
            with suppress(psutil.Error):
                times = process.cpu_times()
                spent += times.user + times.system
        return spent if family else None

    @asynccontextmanager
    async def watching(self) -> AsyncGenerator[None]:
        """Look twice a second for the time of a block."""
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _watch(self) -> None:
        while self.pid is not None:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(_SAMPLE_S)

    def _family(self) -> list[psutil.Process]:
        if self.pid is None:
            return []
        try:
            process = psutil.Process(self.pid)
            return [process, *process.children(recursive=True)]
        except psutil.Error:
            return []


def _held(process: psutil.Process) -> dict[str, float]:
    """MiB by the names of `_FIELDS`, those that this system tells; empty for a process that has ended."""
    try:
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:  # not Linux, or it has ended, or it is another user's
        with suppress(psutil.Error):
            return {_FIELDS[0]: process.memory_info().rss / _MIB}
        return {}
    kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    return {name: kib[name] / _KIB_PER_MIB for name in _FIELDS if name in kib}


def _total(name: str, held: Sequence[dict[str, float]]) -> float | None:
    """The sum over all processes; None where one does not tell it."""
    return sum(each[name] for each in held) if held and all(name in each for each in held) else None


def gpu_memory_mib(pids: Sequence[int]) -> float | None:
    """Memory of processes on all GPUs in MiB; None without an NVIDIA driver, NVML's library or its answer."""
    nvml = _nvml()
    if nvml is None:
        return None
    try:
        nvml.nvmlInit()
        try:
            return _used(nvml, set(pids))
        finally:
            nvml.nvmlShutdown()
    except nvml.NVMLError:
        return None


def _nvml() -> ModuleType | None:
    try:
        import pynvml  # noqa: PLC0415 # part of an optional extra
    except ModuleNotFoundError:
        return None
    return pynvml


def _used(nvml: Any, pids: set[int]) -> float | None:
    used = 0.0
    for index in range(nvml.nvmlDeviceGetCount()):
        device = nvml.nvmlDeviceGetHandleByIndex(index)
        for process in nvml.nvmlDeviceGetComputeRunningProcesses(device):
            if process.pid in pids:
                if process.usedGpuMemory is None:  # in a container the driver may not tell
                    return None
                used += process.usedGpuMemory / _MIB
    return used


def _known(one: float | None, other: float | None) -> float | None:
    return other if one is None else one


def _most(one: float | None, other: float | None) -> float | None:
    known = [value for value in (one, other) if value is not None]
    return max(known, default=None)
