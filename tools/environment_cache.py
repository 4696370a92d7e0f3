"""Make environments: packages once per user, in the cache; in a checkout only its own distributions.

    <cache>/voxmesh/environments/<name>-<key>/   what the lock pins, for any checkout with this lock
    .venvs/<name>/                               a .pth file to the packages, and the checkout's own, editable
    .venvs/<engine> -> <name>                    so that an engine's interpreter is found by the engine's name

`VOXMESH_ENVIRONMENTS` names another folder for the packages.
"""

from __future__ import annotations

import ast
import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from environments import Environment, digest
from platformdirs import user_cache_path

STAMP = ".ready"
NOT_PASSED_ON = {"PYTHONPATH", "VIRTUAL_ENV"}
SOURCES = {"index-url": ("UV_DEFAULT_INDEX", " "), "find-links": ("UV_FIND_LINKS", ",")}
"""Options of pip by what says the same to uv, and what stands between several values there.

Further indexes are not told: uv takes all files of a version from one index, even where another has a better fit.
"""


def cache() -> Path:
    """The folder of all packages that are kept."""
    named = os.environ.get("VOXMESH_ENVIRONMENTS")
    return Path(named) if named else user_cache_path("voxmesh") / "environments"


def make(environment: Environment) -> Path:
    """Make a checkout's environment unless it is up to date; returns its Python.

    Raises:
        subprocess.CalledProcessError: a step failed; the installer has said why.
    """
    packages, folder = _packages(environment), environment.folder
    own = environment.own()
    wanted = digest([str(packages).encode(), *((one.path / "pyproject.toml").read_bytes() for one in own)])
    with _alone(folder):
        if _stamped(folder) != wanted:
            _venv(folder)
            _use(packages, folder)
            words = [word for one in own for word in ("-e", str(one.path))]
            _install(folder, "--no-deps", "--no-build-isolation", *words)
            (folder / STAMP).write_text(wanted)
    for engine in environment.engines:
        _call(folder, engine.path.name)
    return python(folder)


def prune(used: Iterable[Environment]) -> list[Path]:
    """Remove the packages of all environments but those `used`; returns the folders that are gone."""
    kept = {_cached(environment) for environment in used}
    unused = [folder for folder in sorted(cache().glob("*-*/")) if folder not in kept]
    for folder in unused:
        with _alone(folder):
            shutil.rmtree(folder)
    return unused


def python(folder: Path) -> Path:
    """The interpreter of an environment."""
    return folder / "bin/python"


def clean_environment() -> dict[str, str]:
    """The variables of this process but for those that name other environments."""
    return {name: value for name, value in os.environ.items() if name not in NOT_PASSED_ON}


def in_words_of_uv(pip_configuration: str) -> dict[str, str]:
    """What tells uv what `pip config list` says of where packages are; the last line on a matter counts."""
    found: dict[str, str] = {}
    for line in pip_configuration.splitlines():
        key, _, value = line.partition("=")
        name = key.rpartition(".")[2]
        if name in SOURCES:
            variable, separator = SOURCES[name]
            found[variable] = separator.join(str(ast.literal_eval(value)).split())
    return found


def _packages(environment: Environment) -> Path:
    """The folder with what an environment's lock pins, made if it is not there."""
    folder = _cached(environment)
    with _alone(folder):
        # Environments cannot be moved: the stamp, written last, tells a whole one from one that was broken off.
        if not _stamped(folder):
            print(f"making {environment.name} in {folder}", flush=True)
            _venv(folder)
            if environment.torch:
                _install_torch(folder, environment.torch)
            # Compiled now, torch too: in a test, where warnings are errors, those of a library's syntax would fail it.
            _install(folder, "--no-deps", "--require-hashes", "--compile-bytecode", "-r", str(environment.lock))
            (folder / STAMP).write_text("whole")
    return folder


def _cached(environment: Environment) -> Path:
    return cache() / f"{environment.name}-{environment.key()}"


def _stamped(folder: Path) -> str:
    stamp = folder / STAMP
    return stamp.read_text() if stamp.is_file() else ""


def _venv(folder: Path) -> None:
    """A new empty environment in place of what there is."""
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)


def _use(packages: Path, folder: Path) -> None:
    """Let an environment import the packages of another, with the .pth files that lie there."""
    [shared], [own] = packages.glob("lib/python3*/site-packages"), folder.glob("lib/python3*/site-packages")
    # The bare path is for type checkers, which run no code.
    (own / "_shared.pth").write_text(f"{shared}\nimport site; site.addsitedir({str(shared)!r})\n")


def _install(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python(folder), *arguments]
    subprocess.run(command, check=True, env={**_sources(), **clean_environment()})


def _install_torch(folder: Path, pin: str) -> None:
    """Install torch by pip, whose configuration says where a machine's fitting build comes from."""
    command = [sys.executable, "-m", "pip", "--python", python(folder), "install", "--quiet", "--no-compile", pin]
    subprocess.run(command, check=True, env=clean_environment())


def _sources() -> dict[str, str]:
    """Where pip finds packages on this machine, as uv wants to be told: it does not ask pip."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    told = subprocess.run(command, check=True, capture_output=True, text=True, env=clean_environment())
    return in_words_of_uv(told.stdout)


def _call(folder: Path, engine: str) -> None:
    """Let `.venvs/<engine>` lead to an environment of another name."""
    link = folder.parent / engine
    if link == folder or (link.is_symlink() and link.readlink() == Path(folder.name)):
        return
    if link.is_symlink():
        link.unlink()
    elif link.exists():
        shutil.rmtree(link)
    link.symlink_to(folder.name)


@contextmanager
def _alone(folder: Path) -> Generator[None]:
    """Keep other runs away from a folder; the lock goes with the process, however that ends."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as file:
        began = time.monotonic()
        fcntl.flock(file, fcntl.LOCK_EX)
        if (waited := time.monotonic() - began) > 1:
            print(f"waited {waited:.0f} s for another run that makes {folder.name}", flush=True)
        yield
