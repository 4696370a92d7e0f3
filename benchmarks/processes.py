"""What a process holds now, as Linux tells it: memory, threads, file descriptors, CPU time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil

_KIB_PER_MIB = 1024


@dataclass(frozen=True, slots=True)
class Holding:
    """One process at one moment; memory in MiB."""

    rss_mib: float
    """Resident memory; pages that several processes share count in each."""
    pss_mib: float
    """Resident memory with shared pages divided among those that share them."""
    uss_mib: float
    """Memory that would come free if the process ended."""
    anonymous_mib: float
    """Memory that the process wrote itself, which no neighbour that maps the same files can change."""
    threads: int
    descriptors: int

    @classmethod
    def of(cls, process: psutil.Process) -> Holding:
        """What `process` holds now."""
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()[1:]
        mib = {name: int(rest.split()[0]) / _KIB_PER_MIB for name, _, rest in (line.partition(":") for line in lines)}
        return cls(
            rss_mib=mib["Rss"],
            pss_mib=mib["Pss"],
            uss_mib=mib["Private_Clean"] + mib["Private_Dirty"],
            anonymous_mib=mib["Anonymous"],
            threads=process.num_threads(),
            descriptors=process.num_fds(),
        )


def cpu_s(process: psutil.Process) -> float:
    """CPU time in user and kernel mode that a process has used, without its children, in steps of 10 ms."""
    times = process.cpu_times()
    return times.user + times.system
