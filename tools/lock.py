"""Pin every environment of the project with hashes, from the pyproject files alone.

Writes `requirements/build.txt` (what builds a distribution), `requirements/default.txt`
(all default distributions), `requirements/dev.txt` (the same with their extras and the
project's tools), `requirements/environments/<name>.txt` (engines that are tested together, with what
tests them) and a `requirements.txt` beside each distribution that becomes a container of its own. A
container takes the pins of the environment that tests it. torch is in none of them: `torch.txt` beside
the engine pins it, and it is installed first, in the build that fits the machine.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from distributions import ROOT, Distribution, distributions, foreign, requirements
from environments import Environment, environments, optional_engines

COMPILE = [
    "uv",
    "pip",
    "compile",
    "--quiet",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--generate-hashes",
    "--universal",
    "--python-version",
    "3.11",
    "--no-header",
    "--no-annotate",
    "-",
]


TORCH = "torch"
TEST_TOOLS = {"editables", "hatchling", "jiwer", "pytest", "pytest-asyncio", "pytest-timeout"}


def compile_lock(
    lines: set[str],
    target: Path,
    *,
    upgrade: bool,
    as_in: Path | None = None,
    leave_out: Iterable[str] = (),
    overrides: Iterable[str] = (),
) -> None:
    """Write the pins of `lines` to `target`; unless upgrading, they stay as in `as_in` or as they were.

    `as_in` is kept to as far as `lines` allow: another pin there is no conflict.
    """
    with tempfile.TemporaryDirectory() as folder:
        excluded, stated, written = Path(folder, "excluded"), Path(folder, "overrides"), Path(folder, "lock.txt")
        excluded.write_text("\n".join([TORCH, *leave_out]))
        stated.write_text("\n".join(overrides))
        earlier = as_in or target
        if earlier.is_file() and not upgrade:
            written.write_text(earlier.read_text())
        options = ["--output-file", written, "--excludes", excluded, "--override", stated]
        subprocess.run([*COMPILE, *options], input="\n".join(sorted(lines)), text=True, check=True, cwd=ROOT)
        target.parent.mkdir(exist_ok=True)
        target.write_text(written.read_text())
    print(f"{target.relative_to(ROOT)}: {len(lines)} requirements")


def pins(lock: str) -> dict[str, set[str]]:
    """The versions that a lock holds of each package, over all platforms and Pythons."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", lock, re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


def departures(container: str, environment: str) -> dict[str, str]:
    """The versions in a container's lock that are not in the lock of the environment that tests it."""
    tested = pins(environment)
    return {
        name: f"{', '.join(sorted(versions))}, tested: {', '.join(sorted(tested.get(name, ()))) or 'none'}"
        for name, versions in pins(container).items()
        if not versions <= tested.get(name, set())
    }


def left_out_of(engines: Iterable[tuple[Distribution, str]]) -> set[str]:
    """The packages that none of some engines, with their containers' locks, needs and at least one leaves out."""
    engines = list(engines)
    held = {name for engine, lock in engines for name in pins(lock) if name not in engine.leave_out}
    return {name for engine, _ in engines for name in engine.leave_out} - held


def is_container(distribution: Distribution) -> bool:
    """True for what is installed as one service: an engine or a service without engines."""
    folder = distribution.path
    if distribution.is_engine:
        return True
    return folder.parent.name == "services" and not (folder / "engines").is_dir() and bool(distribution.scripts)


def lock_container(
    distribution: Distribution, known: Mapping[str, Distribution], environment: Environment | None, *, upgrade: bool
) -> None:
    """Write the pins of a container, as in the environment that tests it if that is not the default one."""
    needed, target = requirements([distribution], known) | distribution.image_requirements, _lock_of(distribution)
    as_in = environment.lock if environment and environment.lock.is_file() else None
    stated = {"leave_out": distribution.leave_out, "overrides": distribution.overrides}
    compile_lock(needed, target, upgrade=upgrade, as_in=as_in, **stated)
    if distribution.source_only:
        # Images are installed from wheels alone but for what has none.
        target.write_text("".join(f"--no-binary {name}\n" for name in distribution.source_only) + target.read_text())


def lock_environment(environment: Environment, known: Mapping[str, Distribution], *, upgrade: bool) -> None:
    """Write the pins of an environment: all that its engines' containers hold, and what tests them."""
    lines = requirements(environment.own(known), known) | TEST_TOOLS
    for engine in environment.engines:
        lines |= foreign(engine.image_requirements | engine.test_requirements, known)
    left_out = left_out_of((engine, _lock_of(engine).read_text()) for engine in environment.engines)
    overrides = sorted({line for engine in environment.engines for line in engine.overrides})
    compile_lock(lines, environment.lock, upgrade=upgrade, leave_out=sorted(left_out), overrides=overrides)


def lock_tested(
    environment: Environment, wanted: Iterable[Distribution], known: Mapping[str, Distribution], *, upgrade: bool
) -> None:
    """Write the pins of some engines of an environment and its own, and those of the engines again where they part."""
    wanted = list(wanted)
    for engine in wanted:
        lock_container(engine, known, environment, upgrade=upgrade)
    lock_environment(environment, known, upgrade=upgrade)
    for engine in environment.engines:
        if departures(_lock_of(engine).read_text(), environment.lock.read_text()):
            lock_container(engine, known, environment, upgrade=False)
        for name, versions in departures(_lock_of(engine).read_text(), environment.lock.read_text()).items():
            print(f"  {name} {versions}")


def lock_default(known: Mapping[str, Distribution], *, upgrade: bool) -> None:
    """Write the pins of what builds a distribution, of the default set, and of the project's own environment."""
    default = requirements([d for d in known.values() if d.default], known)
    compile_lock({"hatchling"}, ROOT / "requirements/build.txt", upgrade=upgrade)
    compile_lock(default, ROOT / "requirements/default.txt", upgrade=upgrade)
    tools = {line for line in (ROOT / "requirements/dev.in").read_text().splitlines() if line[:1] not in {"", "#"}}
    extras = {line for d in known.values() if d.default for lines in d.extras.values() for line in lines}
    tools |= requirements([d for d in known.values() if d.tests], known)
    compile_lock(default | tools | foreign(extras, known), ROOT / "requirements/dev.txt", upgrade=upgrade)


def _lock_of(distribution: Distribution) -> Path:
    return distribution.path / "requirements.txt"


def main() -> None:
    """Compile all locks, or those of the distributions named on the command line."""
    parser = argparse.ArgumentParser(description="Pin every environment of the project with hashes.")
    parser.add_argument("names", nargs="*", help="distributions whose container, and environment, is pinned; else all")
    parser.add_argument("--upgrade", action="store_true", help="take newer versions than those pinned before")
    options = parser.parse_args()
    names, upgrade, known = set(options.names), options.upgrade, distributions()
    if unknown := names - set(known):
        parser.error(f"no such distribution: {', '.join(sorted(unknown))}")
    if not names:
        lock_default(known, upgrade=upgrade)
    wanted = {d.name: d for d in known.values() if is_container(d) and (not names or d.name in names)}
    for environment in environments(optional_engines().values()).values():
        tested = [wanted.pop(engine.name) for engine in environment.engines if engine.name in wanted]
        if tested:
            lock_tested(environment, tested, known, upgrade=upgrade)
    for distribution in wanted.values():
        lock_container(distribution, known, None, upgrade=upgrade)


if __name__ == "__main__":
    main()
