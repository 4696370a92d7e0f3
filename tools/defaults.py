"""Write where the default engines are named, from the one line that makes an engine the default of its slot.

That line is `[tool.voxmesh] default = true` in the engine's pyproject. Dockerfiles build the default
engine unless told otherwise, and a Kubernetes component serves all of them; a service itself takes
the engine that is installed. `--check` changes nothing and fails where something is out of date.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from distributions import ROOT, distributions

COMPONENT = ROOT / "k8s/components/default-engines/kustomization.yaml"


def default_engines() -> dict[str, str]:
    """The default engine's folder name by the slot's.

    Raises:
        SystemExit: a slot has two.
    """
    found: dict[str, str] = {}
    for distribution in distributions().values():
        folder = distribution.path
        if folder.parent.name != "engines" or not distribution.default:
            continue
        slot = folder.parent.parent.name
        if slot in found:
            sys.exit(f"{slot} has two default engines, {found[slot]} and {folder.name}: one pyproject has to say false")
        found[slot] = folder.name
    return found


def wanted(engines: dict[str, str]) -> Iterator[tuple[Path, str]]:
    """Each file that names default engines, and what it should hold."""
    for slot, engine in engines.items():
        path = ROOT / "services" / slot / "Dockerfile"
        yield path, re.sub(r"^ARG ENGINE=.*$", f"ARG ENGINE={engine}", path.read_text(), flags=re.MULTILINE)
    head = COMPONENT.read_text().partition("components:\n")[0]
    lines = (f"- ../../../services/{slot}/engines/{engine}\n" for slot, engine in sorted(engines.items()))
    yield COMPONENT, f"{head}components:\n{''.join(lines)}"


def main() -> None:
    """Write or check."""
    parser = argparse.ArgumentParser(description="Name the default engines where they are named.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail where something is out of date")
    is_check = parser.parse_args().check
    stale = [(path, text) for path, text in wanted(default_engines()) if path.read_text() != text]
    for path, text in stale:
        print(f"{path.relative_to(ROOT)} {'names another default engine: run make lock' if is_check else 'written'}")
        if not is_check:
            path.write_text(text)
    sys.exit(1 if stale and is_check else 0)


if __name__ == "__main__":
    main()
