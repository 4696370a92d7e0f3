"""How much memory this process holds, on the host and on the accelerator, and how it is given back."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from importlib import import_module
from typing import Any

import psutil


def resident_bytes() -> int:
    """Resident memory of this process with its children, such as a model server that it started."""
    process = psutil.Process()
    total = process.memory_info().rss
    for child in process.children(recursive=True):
        try:
            total += child.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def accelerator_bytes() -> int | None:
    """Memory that this process holds on NVIDIA GPUs; None where NVML (`nvidia-ml-py`) cannot tell."""
    try:
        nvml: Any = import_module("pynvml")
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return None
    try:
        return _held(nvml, os.getpid())
    except nvml.NVMLError:
        return None
    finally:
        nvml.nvmlShutdown()


def give_back() -> None:
    """Return what nobody refers to any more to the system: Python's, torch's and the C library's."""
    gc.collect()
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        # The allocator keeps the pages of a model that was freed; only GNU's can be asked for them.
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def _held(nvml: Any, pid: int) -> int | None:
    devices = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
    processes = [process for device in devices for process in nvml.nvmlDeviceGetComputeRunningProcesses(device)]
    held = [process.usedGpuMemory for process in processes if process.pid == pid]
    # A container may see its processes by other numbers than the driver: then nothing is told rather than 0.
    return sum(size for size in held if size is not None) if held else None
