"""Find the project's distributions: every folder with a pyproject.toml below the root."""

from __future__ import annotations

import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Distribution:
    """One installable folder."""

    name: str
    path: Path
    dependencies: tuple[str, ...]
    extras: dict[str, tuple[str, ...]]
    scripts: tuple[str, ...]
    default: bool
    tests: bool = False
    """Beside the tests of any environment, in no service."""
    source_only: tuple[str, ...] = ()
    """Packages that are published as source alone."""
    image_extras: tuple[str, ...] = ()
    """Extras that its container holds, for an image cannot be given them later."""
    leave_out: tuple[str, ...] = ()
    """Packages that a dependency asks for and that it works without."""


def read(path: Path) -> Distribution:
    """Read the distribution at `path/pyproject.toml`."""
    table = tomllib.loads((path / "pyproject.toml").read_text())
    project, own = table["project"], table.get("tool", {}).get("voxmesh", {})
    return Distribution(
        project["name"],
        path,
        tuple(project.get("dependencies", ())),
        {name: tuple(lines) for name, lines in project.get("optional-dependencies", {}).items()},
        tuple(project.get("scripts", ())),
        own.get("default", False),
        own.get("tests", False),
        tuple(own.get("source-only", ())),
        tuple(own.get("image-extras", ())),
        tuple(own.get("leave-out", ())),
    )


def distributions() -> dict[str, Distribution]:
    """All distributions by name, in the order of their folders."""
    files = sorted(path for top in ("protos", "services", "client") for path in (ROOT / top).rglob("pyproject.toml"))
    return {found.name: found for found in map(read, (file.parent for file in files))}


def requirements(wanted: list[Distribution], known: dict[str, Distribution]) -> set[str]:
    """What `wanted` need from outside the project, through the project's own distributions."""
    own = {found.name: found for distribution in wanted for found in with_own_distributions(distribution, known)}
    return {line for found in own.values() for line in found.dependencies if _name(line) not in known}


def with_own_distributions(
    distribution: Distribution, known: dict[str, Distribution] | None = None
) -> list[Distribution]:
    """A distribution after all distributions of the project that it needs."""
    known = distributions() if known is None else known
    found: dict[str, Distribution] = {}
    queue = [distribution]
    while queue:
        one = queue.pop()
        if one.name not in found:
            found[one.name] = one
            queue += [known[name] for name in map(_name, one.dependencies) if name in known]
    return list(reversed(found.values()))


def _name(requirement: str) -> str:
    return re.split(r"[\s<>=!~\[;]", requirement, maxsplit=1)[0]


if __name__ == "__main__":
    # With an argument, what stands before each folder: pip wants "-e", other tools nothing.
    for found in distributions().values():
        if found.default or found.tests:
            print(*sys.argv[1:], found.path.relative_to(ROOT))
