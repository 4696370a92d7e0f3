"""The build stage of a Dockerfile makes an environment that holds all that its image will need."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from dockerfile import Dockerfile, build

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

SLIM = {
    *(
        "ld-linux-x86-64.so.2",
        "ld-linux-aarch64.so.1",
        "libc.so.6",
        "libdl.so.2",
        "libgcc_s.so.1",
        "libm.so.6",
        "libmvec.so.1",
    ),
    *("libpthread.so.0", "librt.so.1", "libstdc++.so.6", "libutil.so.1", "libz.so.1"),
}
"""Libraries of the slim base image that compiled modules may use."""
PACKAGED = {"libgomp1": "libgomp.so.1"}
"""Libraries by the Debian package that a Dockerfile may install."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the final image of the turn service copies from its build stage."""
    return build(Dockerfile.of("turn"), tmp_path_factory.mktemp("image").resolve())


def run(*command: str | Path) -> str:
    """Output of a command that knows nothing of this checkout."""
    clean = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    words = [str(word) for word in command]
    return subprocess.run(words, check=True, capture_output=True, text=True, env=clean, cwd="/").stdout


def test_the_engine_asked_for_is_the_only_one_installed(environment: Path) -> None:
    ask = "import importlib.metadata as m; print(*[e.name for e in m.entry_points(group='voxmesh.turn.engines')])"
    assert run(environment / "bin/python", "-c", ask).split() == ["silero_smart_turn"]


def test_the_service_and_its_probe_come_from_the_environment_itself(environment: Path) -> None:
    ask = (
        "import importlib.util as u; print(*(u.find_spec(n).origin for n in ('voxmesh_turn', 'voxmesh_runtime.probe')))"
    )
    assert all(
        Path(origin).is_relative_to(environment) for origin in run(environment / "bin/python", "-c", ask).split()
    )


def test_all_requirements_are_met_and_no_build_tool_stays(environment: Path) -> None:
    python = environment / "bin/python"
    assert run(python, "-m", "pip", "check").strip() == "No broken requirements found."
    assert "hatchling" not in run(python, "-m", "pip", "list")


def test_compiled_modules_need_no_library_that_the_base_image_lacks(environment: Path) -> None:
    modules = [path for path in environment.rglob("*.so*") if path.is_file()]
    lines = [line for module in modules for line in run("ldd", module).splitlines() if str(environment) not in line]
    needed = {Path(name).name for line in lines if (name := re.split(r" =>| \(", line.strip())[0]) != "linux-vdso.so.1"}
    assert modules
    steps = " ".join(Dockerfile.of("turn").all("RUN")).split()
    installed = {library for package, library in PACKAGED.items() if package in steps}
    assert needed - {"statically linked"} <= SLIM | installed
