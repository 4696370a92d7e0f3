"""Where a model runs: on the accelerator if that works, else on the CPU, and why."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from voxmesh_runtime.errors import FailedPrecondition, VoxmeshError

log = logging.getLogger(__name__)

CPU = "cpu"
AUTO = "auto"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OnDevice(Generic[T]):
    """A loaded model, its device, and why that is not the first choice; "" if it is."""

    model: T
    device: str
    reason: str = ""


def load_on_first(wanted: str, accelerator: Callable[[], str | None], load: Callable[[str], T]) -> OnDevice[T]:
    """Load on the operator's device, or with "auto" on the accelerator and else on the CPU.

    Args:
        wanted: "auto", "cpu" or a device that the library knows, such as "cuda:1".
        accelerator: names the accelerator's device; None when there is none. Asked with "auto" alone.
        load: loads the model on a device. What it leaves behind when it fails must be freed by itself.

    Raises:
        FailedPrecondition: the operator named a device, and it failed there.
        Exception: loading failed on the CPU too.
    """
    if wanted == CPU:
        return OnDevice(load(CPU), CPU)
    device = accelerator() if wanted == AUTO else wanted
    if device is None:
        log.info("no accelerator is visible; the model runs on the CPU")
        return OnDevice(load(CPU), CPU, "no accelerator is visible")
    try:
        return OnDevice(load(device), device)
    except VoxmeshError:
        # Such as a model that does not exist: the device is not to blame.
        raise
    except Exception as error:
        # Libraries raise what they like when a device is out of memory, too old or not there at all.
        problem = f"{device} failed: {_line(error)}"
        if wanted != AUTO:
            raise FailedPrecondition("device", device, f"{problem}; set the device to auto or cpu") from error
        log.warning("the accelerator failed; the model is loaded on the CPU", exc_info=error)
    # Outside the handler, so that the failure's frames and what they hold are freed first.
    return OnDevice(load(CPU), CPU, problem)


def _line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__
