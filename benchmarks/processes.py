"""What a process holds now: memory, threads, file descriptors, CPU time."""

from __future__ import annotations

from dataclasses import dataclass

import psutil

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Holding:
    """One process at one moment; memory in MiB."""

    rss_mib: float
    """Resident memory; pages that several processes share count in each."""
    pss_mib: float
    """Resident memory with shared pages divided among those that share them."""
    uss_mib: float
    """Memory that would come free if the process ended."""
    threads: int
    descriptors: int

    @classmethod
    def of(cls, process: psutil.Process) -> Holding:
        """What `process` holds now."""
        with process.oneshot():
            memory = process.memory_full_info()
            return cls(memory.rss / MIB, memory.pss / MIB, memory.uss / MIB, process.num_threads(), process.num_fds())


def cpu_s(process: psutil.Process) -> float:
    """CPU time in user and kernel mode that a process has used, without its children, in steps of 10 ms."""
    times = process.cpu_times()
    return times.user + times.system
