"""Pin every environment of the project with hashes, from the pyproject files alone.

Writes `requirements/build.txt` (what builds a distribution), `requirements/default.txt`
(all default distributions), `requirements/dev.txt` (the same with the project's tools)
and a `requirements.txt` beside each distribution that becomes a container of its own.
"""

from __future__ import annotations

import subprocess
import sys
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
    "-",
]


def compile_lock(lines: set[str], target: Path, *, upgrade: bool) -> None:
    """Write the pins of `lines` to `target`; keeps earlier pins unless upgrading."""
    command = [*COMPILE, "--output-file", str(target), *(["--upgrade"] if upgrade else [])]
    subprocess.run(command, input="\n".join(sorted(lines)), text=True, check=True, cwd=ROOT)
    print(f"{target.relative_to(ROOT)}: {len(lines)} requirements")


def is_container(distribution: Distribution) -> bool:
    """True for what is installed as one service: an engine or a service without engines."""
    folder = distribution.path
    if folder.parent.name == "engines":
        return True
    return folder.parent.name == "services" and not (folder / "engines").is_dir() and bool(distribution.scripts)


def main() -> None:
    """Compile all locks, or those of the distributions named on the command line."""
    names = {argument for argument in sys.argv[1:] if not argument.startswith("-")}
    upgrade = "--upgrade" in sys.argv
    known = distributions()
    if not names:
        default = requirements([d for d in known.values() if d.default], known)
        compile_lock({"hatchling"}, ROOT / "requirements/build.txt", upgrade=upgrade)
        compile_lock(default, ROOT / "requirements/default.txt", upgrade=upgrade)
        tools = {line for line in (ROOT / "requirements/dev.in").read_text().splitlines() if line[:1] not in {"", "#"}}
        compile_lock(default | tools, ROOT / "requirements/dev.txt", upgrade=upgrade)
    for distribution in known.values():
        if is_container(distribution) and (not names or distribution.name in names):
            compile_lock(requirements([distribution], known), distribution.path / "requirements.txt", upgrade=upgrade)


if __name__ == "__main__":
    main()
