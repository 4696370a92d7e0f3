"""Pin every environment of the project with hashes, from the pyproject files alone.

Writes `requirements/build.txt` (what builds a distribution), `requirements/default.txt`
(all default distributions), `requirements/dev.txt` (the same with their extras and the
project's tools) and a `requirements.txt` beside each distribution that becomes a container of its own;
beside an engine that is not in the default set also a `requirements-test.txt`, the same
with what tests it. torch is in none of them: `torch.txt` beside the engine pins it, and it is
installed first, in the build that fits the machine.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

from distributions import ROOT, Distribution, distributions, requirements

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
    "--no-emit-package=torch",
    "-",
]


LEFT_OUT = ("torch",)
TEST_TOOLS = {"editables", "hatchling", "jiwer", "pytest", "pytest-asyncio", "pytest-timeout"}


def compile_lock(
    lines: set[str], target: Path, *, upgrade: bool, as_in: Path | None = None, leave_out: tuple[str, ...] = ()
) -> None:
    """Write the pins of `lines` to `target`; keeps earlier pins unless upgrading, and those of `as_in`."""
    options = ["--upgrade"] if upgrade else []
    if as_in is not None:
        options += ["--constraint", str(as_in)]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as overrides:
        # A marker that is never true takes a package, and what it alone needs, out of the resolution.
        overrides.writelines(f"{name} ; sys_platform == 'never'\n" for name in LEFT_OUT + leave_out)
        overrides.flush()
        command = [*COMPILE, "--output-file", str(target), "--override", overrides.name, *options]
        subprocess.run(command, input="\n".join(sorted(lines)), text=True, check=True, cwd=ROOT)
    print(f"{target.relative_to(ROOT)}: {len(lines)} requirements")


def is_container(distribution: Distribution) -> bool:
    """True for what is installed as one service: an engine or a service without engines."""
    folder = distribution.path
    if folder.parent.name == "engines":
        return True
    return folder.parent.name == "services" and not (folder / "engines").is_dir() and bool(distribution.scripts)


def lock_container(distribution: Distribution, known: dict[str, Distribution], *, upgrade: bool) -> None:
    """Write the pins of a container, and of its test environment if the default one does not hold it."""
    extras = {line for name in distribution.image_extras for line in distribution.extras[name]}
    needed, target = requirements([distribution], known) | extras, distribution.path / "requirements.txt"
    left_out = distribution.leave_out
    compile_lock(needed, target, upgrade=upgrade, leave_out=left_out)
    if not distribution.default:
        tested, to = needed | TEST_TOOLS | set(distribution.extras.get("test", ())), distribution.path
        compile_lock(tested, to / "requirements-test.txt", upgrade=upgrade, as_in=target, leave_out=left_out)
    if distribution.source_only:
        # Images are installed from wheels alone but for what has none.
        target.write_text("".join(f"--no-binary {name}\n" for name in distribution.source_only) + target.read_text())


def main() -> None:
    """Compile all locks, or those of the distributions named on the command line."""
    parser = argparse.ArgumentParser(description="Pin every environment of the project with hashes.")
    parser.add_argument("names", nargs="*", help="distributions whose container is pinned; all there is without")
    parser.add_argument("--upgrade", action="store_true", help="take newer versions than those pinned before")
    options = parser.parse_args()
    names, upgrade, known = set(options.names), options.upgrade, distributions()
    if not names:
        default = requirements([d for d in known.values() if d.default], known)
        compile_lock({"hatchling"}, ROOT / "requirements/build.txt", upgrade=upgrade)
        compile_lock(default, ROOT / "requirements/default.txt", upgrade=upgrade)
        tools = {line for line in (ROOT / "requirements/dev.in").read_text().splitlines() if line[:1] not in {"", "#"}}
        extras = {line for d in known.values() if d.default for lines in d.extras.values() for line in lines}
        compile_lock(default | tools | extras, ROOT / "requirements/dev.txt", upgrade=upgrade)
    for distribution in known.values():
        if is_container(distribution) and (not names or distribution.name in names):
            lock_container(distribution, known, upgrade=upgrade)


if __name__ == "__main__":
    main()
