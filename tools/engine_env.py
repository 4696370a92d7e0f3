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
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
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
    said: str = ""


def test(wanted: Iterable[tuple[Environment, list[Distribution]]], arguments: list[str], jobs: int) -> list[Step]:
    """Make environments, check the types of their engines at once, and run each one's tests in its own process.

    What an environment's engines need is begun as soon as it is made, while the next one is. `jobs` processes run
    at a time; what they say is shown as each ends, or as it comes if there is but one.
    """
    made: list[Step] = []
    done: list[Future[Step]] = []
    with ThreadPoolExecutor(jobs) as pool:
        for environment, engines in wanted:
            made.append(_step(environment.name, "environment", partial(_make, environment)))
            for name, command in _commands(environment, engines, arguments) if made[-1].is_well else ():
                work = partial(_run, command, is_shown=jobs == 1)
                done.append(pool.submit(_step, environment.name, name, work))
        for future in as_completed(done):
            step = future.result()
            print(step.said + _line(step), flush=True)
    return sorted([*made, *(future.result() for future in done)], key=lambda step: step.environment)


def table(steps: Iterable[Step], took_s: float) -> str:
    """The steps by line, and how long all of them took together."""
    return "\n".join([*map(_line, steps), f"{'all':33} {took_s:6.0f} s"])


def _line(step: Step) -> str:
    return f"{step.environment:14} {step.name:18} {step.took_s:6.0f} s  {'passed' if step.is_well else 'FAILED'}"


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
    return _run(_type_check(ROOT / ".venv", folders, elsewhere))[0]


def _type_check(environment: Path, folders: list[Path], leave_out: list[Path]) -> list[str | Path]:
    """The command that runs pyright with the project's settings and an environment of choice."""
    path = environment / "pyrightconfig.json"
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pyright"]

    def relative(paths: list[Path]) -> list[str]:
        # Only paths relative to the file are taken.
        return [os.path.relpath(each, path.parent) for each in paths]

    changes = {
        "extends": str(ROOT / "pyproject.toml"),
        "venvPath": str(environment.parent),
        "venv": environment.name,
        "include": relative(folders),
        "exclude": ["**/__pycache__", *relative([ROOT / "protos/gen", *leave_out])],
        "extraPaths": relative([ROOT, *(ROOT / each for each in settings["extraPaths"])]),
    }
    path.write_text(json.dumps(changes))
    return [sys.executable, "-m", "pyright", "--project", path]


def _commands(
    environment: Environment, engines: list[Distribution], arguments: list[str]
) -> Iterator[tuple[str, list[str | Path]]]:
    """What checks some engines of an environment, by name."""
    yield "types", _type_check(environment.folder, [engine.path for engine in engines], [])
    for engine in engines:
        tests: list[str | Path] = ["-m", "pytest", "-m", "not gpu", engine.path, *arguments]
        yield engine.path.name, [python(environment.folder), *tests]


def _step(environment: str, name: str, work: Callable[[], tuple[bool, str]]) -> Step:
    began = time.monotonic()
    is_well, said = work()
    return Step(environment, name, time.monotonic() - began, is_well, said)


def _run(command: list[str | Path], *, is_shown: bool = True) -> tuple[bool, str]:
    """Run a command; returns whether it was content, and what it said unless that is shown as it comes."""
    output = None if is_shown else subprocess.PIPE
    done = subprocess.run(
        command, cwd=ROOT, check=False, env=clean_environment(), stdout=output, stderr=subprocess.STDOUT, text=True
    )
    return done.returncode == 0, done.stdout or ""


def _make(environment: Environment) -> tuple[bool, str]:
    """Make an environment; a failure is the installer's to explain, and keeps no other from being tested."""
    try:
        make(environment)
    except subprocess.CalledProcessError as error:
        print(error, flush=True)
        return False, ""
    return True, ""


def main() -> None:
    """Do what the command line says."""
    every = environments(optional_engines().values())
    listing = "\n".join(f"{one.name:14} {', '.join(e.path.name for e in one.engines)}" for one in every.values())
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="name", help="an engine or an environment; they are listed without")
    parser.add_argument("--test", action="store_true", help="check types and run the tests in the environments")
    parser.add_argument("--types", action="store_true", help="check the types of all that is in the default set")
    parser.add_argument("--prune", action="store_true", help="remove kept environments that this checkout cannot use")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="checks that run at a time")
    parser.add_argument("--pytest", default="", help="more arguments for pytest, in one word")
    arguments = parser.parse_args()
    try:
        wanted = chosen(arguments.names, every)
    except ValueError as error:
        parser.error(str(error))
    if arguments.types:
        sys.exit(not check_types())
    if arguments.test:
        began = time.monotonic()
        pairs = [(every[name], engines) for name, engines in wanted.items()]
        steps = test(pairs, arguments.pytest.split(), arguments.jobs)
        print("", table(steps, time.monotonic() - began), sep="\n")
        failed = [f"{step.environment} {step.name}" for step in steps if not step.is_well]
        sys.exit(f"failed: {', '.join(failed)}" if failed else 0)
    if arguments.prune:
        print("\n".join(f"removed {folder}" for folder in prune(every.values())) or "nothing to remove")
    else:
        print("\n".join(str(make(every[name])) for name in wanted) if arguments.names else listing)


if __name__ == "__main__":
    main()
