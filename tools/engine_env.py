"""Make, check and use the environments of the engines that are not in the default set.

`python tools/engine_env.py` lists the engines by environment; with names of engines or environments it
makes those; with `--test` it also checks their types and runs their tests, all engines if none is named;
with `--types` it checks the types of everything else; with `--prune` it removes what the cache keeps for
other states of the locks. `environment_cache.py` says where environments lie.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from distributions import ROOT, Distribution
from environment_cache import clean_environment, make, prune, python
from environments import Environment, environments, optional_engines


@dataclass(frozen=True, slots=True)
class Step:
    """What was done, and how it went."""

    environment: str
    name: str
    took_s: float
    is_well: bool


def test(environment: Environment, engines: Iterable[Distribution], arguments: list[str]) -> list[Step]:
    """Check the types of some engines of an environment at once, and run the tests of each in its own process."""
    steps: list[Step] = []

    def run(name: str, work: Callable[[], bool]) -> bool:
        print(f"--- {environment.name}: {name}", flush=True)
        began = time.monotonic()
        is_well = work()
        steps.append(Step(environment.name, name, time.monotonic() - began, is_well))
        return is_well

    if run("environment", lambda: _is_made(environment)):
        run("types", lambda: _check_types(environment.folder, [engine.path for engine in engines], []))
        for engine in engines:
            command = [python(environment.folder), "-m", "pytest", "-m", "not gpu", engine.path, *arguments]
            run(engine.path.name, lambda command=command: _is_well(command))
    return steps


def table(steps: Iterable[Step]) -> str:
    """The steps by line, and how long all took."""
    steps = list(steps)
    lines = [
        f"{step.environment:14} {step.name:18} {step.took_s:6.0f} s  {'passed' if step.is_well else 'FAILED'}"
        for step in steps
    ]
    total = sum(step.took_s for step in steps)
    return "\n".join([*lines, f"{'all':33} {total:6.0f} s"])


def chosen(names: Iterable[str], every: Mapping[str, Environment]) -> dict[str, list[Distribution]]:
    """The engines that are named, themselves or by their environment, by environment; all, if none is.

    Raises:
        ValueError: no engine and no environment has one of the names.
    """
    wanted, left = set(names), set(names)
    found: dict[str, list[Distribution]] = {}
    for one in every.values():
        for engine in one.engines:
            called = {one.name, engine.path.name}
            left -= called
            if not wanted or called & wanted:
                found.setdefault(one.name, []).append(engine)
    if left:
        raise ValueError(f"no such engine or environment: {', '.join(sorted(left))}")
    return found


def check_types() -> bool:
    """Check the types of all that the default environment holds; True if all is well."""
    elsewhere = [engine.path for engine in optional_engines().values()]
    folders = [ROOT / name for name in ("services", "client", "tests", "tools", "benchmarks", "conftest.py")]
    return _check_types(ROOT / ".venv", folders, elsewhere)


def _check_types(environment: Path, folders: list[Path], leave_out: list[Path]) -> bool:
    """Run pyright with the project's settings and an environment of choice."""
    path = environment / "pyrightconfig.json"

    def relative(paths: list[Path]) -> list[str]:
        # Only paths relative to the file are taken.
        return [os.path.relpath(each, path.parent) for each in paths]

    changes = {
        "extends": str(ROOT / "pyproject.toml"),
        "venvPath": str(environment.parent),
        "venv": environment.name,
        "include": relative(folders),
        "exclude": ["**/__pycache__", *relative([ROOT / "protos/gen", *leave_out])],
        "extraPaths": relative([ROOT, ROOT / "tools", ROOT / "tests"]),
    }
    path.write_text(json.dumps(changes))
    return _is_well([sys.executable, "-m", "pyright", "--project", path])


def _is_well(command: list[str | Path]) -> bool:
    return subprocess.run(command, cwd=ROOT, check=False, env=clean_environment()).returncode == 0


def _is_made(environment: Environment) -> bool:
    """Make an environment; a failure is the installer's to explain, and keeps no other from being tested."""
    try:
        make(environment)
    except subprocess.CalledProcessError as error:
        print(error, flush=True)
        return False
    return True


def main() -> None:
    """Do what the command line says."""
    every = environments(optional_engines().values())
    listing = "\n".join(f"{one.name:14} {', '.join(e.path.name for e in one.engines)}" for one in every.values())
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="name", help="an engine or an environment; they are listed without")
    parser.add_argument("--test", action="store_true", help="check types and run the tests in the environments")
    parser.add_argument("--types", action="store_true", help="check the types of all that is in the default set")
    parser.add_argument("--prune", action="store_true", help="remove kept environments that this checkout cannot use")
    parser.add_argument("--pytest", default="", help="more arguments for pytest, in one word")
    arguments = parser.parse_args()
    try:
        wanted = chosen(arguments.names, every)
    except ValueError as error:
        parser.error(str(error))
    if arguments.types:
        sys.exit(not check_types())
    if arguments.test:
        sys.exit(_test_all(((every[name], engines) for name, engines in wanted.items()), arguments.pytest.split()))
    if arguments.prune:
        print("\n".join(f"removed {folder}" for folder in prune(every.values())) or "nothing to remove")
    else:
        print("\n".join(str(make(every[name])) for name in wanted) if arguments.names else listing)


def _test_all(wanted: Iterable[tuple[Environment, list[Distribution]]], arguments: list[str]) -> str | int:
    """Test environments one after another; returns what the process exits with."""
    steps = [step for environment, engines in wanted for step in test(environment, engines, arguments)]
    print(table(steps))
    failed = [f"{step.environment} {step.name}" for step in steps if not step.is_well]
    return f"failed: {', '.join(failed)}" if failed else 0


if __name__ == "__main__":
    main()
