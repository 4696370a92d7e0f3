"""Find the project's distributions: every folder with a pyproject.toml below the root."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
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
    overrides: tuple[str, ...] = ()
    """Requirements that stand for whatever a dependency asks of the same package."""
    environment: str = ""
    """Engines that name one environment are tested together; one that names none, alone."""

    @property
    def is_engine(self) -> bool:
        """True for an engine of a service."""
        return self.path.parent.name == "engines"

    @property
    def image_requirements(self) -> set[str]:
        """What its container holds on top of its dependencies."""
        return {line for name in self.image_extras for line in self.extras[name]}

    @property
    def test_requirements(self) -> set[str]:
        """What its tests alone need."""
        return set(self.extras.get("test", ()))


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
        tuple(own.get("overrides", ())),
        own.get("environment", ""),
    )


def distributions() -> dict[str, Distribution]:
    """All distributions by name, in the order of their folders."""
    files = sorted(path for top in ("protos", "services", "client") for path in (ROOT / top).rglob("pyproject.toml"))
    return {found.name: found for found in map(read, (file.parent for file in files))}


def requirements(wanted: Iterable[Distribution], known: Mapping[str, Distribution]) -> set[str]:
    """What `wanted` need from outside the project, through the project's own distributions."""
    own = with_own_distributions(wanted, known)
    return foreign({line for found in own for line in found.dependencies}, known)


def foreign(lines: Iterable[str], known: Mapping[str, Distribution]) -> set[str]:
    """The requirements among `lines` that are no distribution of the project."""
    return {line for line in lines if package(line) not in known}


def with_own_distributions(
    wanted: Iterable[Distribution], known: Mapping[str, Distribution], *, tested: bool = False
) -> list[Distribution]:
    """Distributions after all distributions of the project that they need; if `tested`, that their tests need too."""
    found: dict[str, Distribution] = {}
    entered: set[str] = set()

    def visit(one: Distribution, lines: Iterable[str]) -> None:
        entered.add(one.name)
        for name in map(package, lines):
            if name in known and name not in entered:
                visit(known[name], known[name].dependencies)
        found[one.name] = one

    for one in wanted:
        if one.name not in entered:
            visit(one, (*one.dependencies, *(sorted(one.test_requirements) if tested else ())))
    return list(found.values())


def package(requirement: str) -> str:
    """The package that a requirement is of."""
    return re.split(r"[\s<>=!~\[;]", requirement, maxsplit=1)[0]


if __name__ == "__main__":
    # With an argument, what stands before each folder: pip wants "-e", other tools nothing.
    for found in distributions().values():
        if found.default or found.tests:
            print(*sys.argv[1:], found.path.relative_to(ROOT))
