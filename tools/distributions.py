"""Find the project's distributions: every folder with a pyproject.toml below the root."""

from __future__ import annotations

import re
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
    scripts: tuple[str, ...]
    default: bool


def read(path: Path) -> Distribution:
    """Read the distribution at `path/pyproject.toml`."""
    table = tomllib.loads((path / "pyproject.toml").read_text())
    project = table["project"]
    return Distribution(
        project["name"],
        path,
        tuple(project.get("dependencies", ())),
        tuple(project.get("scripts", ())),
        table.get("tool", {}).get("voxmesh", {}).get("default", False),
    )


def distributions() -> dict[str, Distribution]:
    """All distributions by name, in the order of their folders."""
    files = sorted(path for top in ("protos", "services", "client") for path in (ROOT / top).rglob("pyproject.toml"))
    return {found.name: found for found in map(read, (file.parent for file in files))}


def requirements(wanted: list[Distribution], known: dict[str, Distribution]) -> set[str]:
    """What `wanted` need from outside the project, through the project's own distributions."""
    lines: set[str] = set()
    queue, seen = list(wanted), set[str]()
    while queue:
        distribution = queue.pop()
        if distribution.name in seen:
            continue
        seen.add(distribution.name)
        for line in distribution.dependencies:
            name = re.split(r"[\s<>=!~\[;]", line, maxsplit=1)[0]
            if name in known:
                queue.append(known[name])
            else:
                lines.add(line)
    return lines


if __name__ == "__main__":
    for found in distributions().values():
        if found.default:
            print("-e", found.path.relative_to(ROOT))
