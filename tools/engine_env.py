"""Environments of the engines that are not in the default set, each below `.venvs/<engine>`.

`python tools/engine_env.py` lists the engines; with names it makes their environments; with
`--test` it also checks and tests them there, all engines if none is named; with `--types` it
checks the types of everything else.

An environment holds exactly the pins of the engine's container and the tests' tools. torch goes
first, without a hash: which build of it fits a machine (CPU, CUDA, ROCm) is the machine's affair.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from distributions import ROOT, Distribution, distributions, with_own_distributions

ENVIRONMENTS = ROOT / ".venvs"


def optional_engines() -> dict[str, Distribution]:
    """The engines that `make setup` does not install, by their folder's name."""
    found = distributions().values()
    return {d.path.name: d for d in found if d.path.parent.name == "engines" and not d.default}


def make(engine: Distribution) -> Path:
    """Make the environment of an engine unless it is up to date; returns its Python.

    Raises:
        subprocess.CalledProcessError: a step failed; pip has said why.
    """
    folder = ENVIRONMENTS / engine.path.name
    python, stamp = folder / "bin/python", folder / ".ready"
    wanted = _fingerprint(engine)
    if stamp.is_file() and stamp.read_text() == wanted:
        return python
    print(f"making {folder.relative_to(ROOT)}", flush=True)
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    _pip(python, "--upgrade", "--require-hashes", "-r", ROOT / "requirements/pip.txt")
    torch = engine.path / "torch.txt"
    if torch.is_file():
        _pip(python, "-r", torch)
    _pip(python, "--no-deps", "--require-hashes", "-r", engine.path / "requirements-test.txt")
    own = [word for found in with_own_distributions(engine) for word in ("-e", found.path)]
    _pip(python, "--no-deps", "--no-build-isolation", *own)
    stamp.write_text(wanted)
    return python


def test(engine: Distribution, arguments: list[str]) -> bool:
    """Check the types of an engine and run its tests; True if all is well."""
    began = time.monotonic()
    python = make(engine)
    made = time.monotonic()
    is_typed = _check_types(ENVIRONMENTS / engine.path.name, [engine.path], [])
    command = [python, "-m", "pytest", "-m", "not gpu", engine.path, *arguments]
    tests = subprocess.run(command, cwd=ROOT, check=False, env=_environment())
    took = f"environment {made - began:.0f} s, checks and tests {time.monotonic() - made:.0f} s"
    is_well = is_typed and tests.returncode == 0
    print(f"{engine.path.name}: {'passed' if is_well else 'FAILED'} ({took})", flush=True)
    return is_well


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
    return subprocess.run(["pyright", "--project", path], cwd=ROOT, check=False).returncode == 0


def _pip(python: Path, *arguments: str | Path) -> None:
    subprocess.run([python, "-m", "pip", "install", "--quiet", *arguments], check=True, env=_environment())


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}


def _fingerprint(engine: Distribution) -> str:
    inputs = [ROOT / "requirements/pip.txt", engine.path / "torch.txt", engine.path / "requirements-test.txt"]
    inputs += [found.path / "pyproject.toml" for found in with_own_distributions(engine)]
    digest = hashlib.sha256()
    for path in inputs:
        digest.update(path.read_bytes() if path.is_file() else b"-")
    return digest.hexdigest()


def main() -> None:
    """Do what the command line says."""
    known = optional_engines()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("engines", nargs="*", metavar="engine", help=f"of {', '.join(known)}")
    parser.add_argument("--test", action="store_true", help="check types and run the tests in the environments")
    parser.add_argument("--types", action="store_true", help="check the types of all that is in the default set")
    parser.add_argument("--pytest", default="", help="more arguments for pytest, in one word")
    arguments = parser.parse_args()
    unknown = set(arguments.engines) - set(known)
    if unknown:
        parser.error(f"no such engine: {', '.join(sorted(unknown))}")
    if arguments.types:
        sys.exit(not check_types())
    if arguments.test:
        names = arguments.engines or list(known)
        failed = [name for name in names if not test(known[name], arguments.pytest.split())]
        sys.exit(f"failed: {', '.join(failed)}" if failed else 0)
    for name in arguments.engines:
        print(make(known[name]))
    if not arguments.engines:
        for name, engine in known.items():
            print(f"{name:20} {engine.path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
