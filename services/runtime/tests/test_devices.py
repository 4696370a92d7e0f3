"""A model goes to the accelerator, else to the CPU with the reason told."""

from __future__ import annotations

import pytest

from voxmesh_runtime.devices import OnDevice, load_on_first
from voxmesh_runtime.errors import FailedPrecondition, NotFound

pytestmark = pytest.mark.unit


def _gpu() -> str | None:
    return "cuda:0"


def _no_gpu() -> str | None:
    return None


def _load(device: str) -> str:
    return f"model on {device}"


def _full_gpu(device: str) -> str:
    if device != "cpu":
        raise RuntimeError("out of memory\nand a long trace")
    return _load(device)


def test_the_accelerator_is_the_first_choice() -> None:
    assert load_on_first("auto", _gpu, _load) == OnDevice("model on cuda:0", "cuda:0")


def test_without_an_accelerator_the_cpu_serves_and_says_why() -> None:
    assert load_on_first("auto", _no_gpu, _load) == OnDevice("model on cpu", "cpu", "no accelerator is visible")


def test_a_failing_accelerator_is_left_for_the_cpu_with_its_first_line() -> None:
    found = load_on_first("auto", _gpu, _full_gpu)
    assert (found.model, found.device) == ("model on cpu", "cpu")
    assert found.reason == "cuda:0 failed: RuntimeError: out of memory"


def test_the_cpu_asked_for_needs_no_reason() -> None:
    assert load_on_first("cpu", _gpu, _load) == OnDevice("model on cpu", "cpu")


def test_a_device_asked_for_by_name_is_not_replaced() -> None:
    with pytest.raises(FailedPrecondition, match="cuda:7 failed: RuntimeError: out of memory; set the device"):
        load_on_first("cuda:7", _gpu, _full_gpu)


def test_a_missing_model_is_not_the_devices_fault() -> None:
    def missing(device: str) -> str:
        raise NotFound("model", device, "no such model")

    with pytest.raises(NotFound):
        load_on_first("auto", _gpu, missing)
