"""Prove with import-linter that the layers run one way, for every distribution that is there.

    protos <- runtime <- service <- engine,   protos <- runtime <- routing <- coordinator, client

Services never import one another, nor do engines; so each can be a container of its own. Routing is for those
that call services, never for the services themselves. What tests share stands above all of them, and nothing but
tests imports it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from distributions import Distribution, distributions

RUNTIME = "voxmesh_runtime"
ROUTING = "voxmesh_routing"
CALLERS = {"voxmesh_coordinator", "voxmesh_client"}
"""Those that call services, and so choose among their backends."""
TESTING = "voxmesh_testing"


COORDINATOR = "voxmesh_coordinator"
COORDINATOR_LAYERS = [
    "servicer",
    "sessions",
    "session",
    "listening | reply | recording",
    "registry",
    "durability | metrics",
    "turn",
]
"""Its packages and modules, from the top; neighbours in one layer do not import one another."""


def package(distribution: Distribution) -> str:
    """The import name of a distribution."""
    return distribution.name.replace("-", "_")


def contracts(found: list[Distribution]) -> str:
    """The import-linter configuration for these distributions."""
    engines = {package(d): package_of_service(d) for d in found if d.path.parent.name == "engines"}
    above = [package(d) for d in found if package(d) not in {*engines, RUNTIME, ROUTING, TESTING}]
    parts = [_section("importlinter", root_packages=[RUNTIME, ROUTING, TESTING, *above, *engines])]
    parts.append(
        _section(
            "importlinter:contract:testing",
            type="forbidden",
            source_modules=[RUNTIME, ROUTING, *above, *engines],
            forbidden_modules=[TESTING],
            # Help for one engine's tests stands beside it, and is left out of its wheel.
            ignore_imports=[f"{module} -> {TESTING}.*" for module in _testing_modules(found)],
            unmatched_ignore_imports_alerting="none",
            allow_indirect_imports="true",
        )
    )
    parts.append(_section("importlinter:contract:services", type="independence", modules=above))
    parts.append(_section("importlinter:contract:engines", type="independence", modules=list(engines)))
    parts.append(
        _section(
            "importlinter:contract:runtime",
            type="forbidden",
            source_modules=[RUNTIME],
            forbidden_modules=[ROUTING, *above, *engines],
        )
    )
    parts.append(
        _section(
            "importlinter:contract:routing",
            type="forbidden",
            source_modules=[ROUTING],
            forbidden_modules=[*above, *engines],
        )
    )
    parts.append(
        _section(
            "importlinter:contract:coordinator",
            type="layers",
            containers=[COORDINATOR],
            layers=COORDINATOR_LAYERS,
        )
    )
    parts += [
        _section(
            f"importlinter:contract:{service}",
            type="forbidden",
            source_modules=[service],
            forbidden_modules=[*engines, *([] if service in CALLERS else [ROUTING])],
        )
        for service in above
    ]
    parts += [
        _section(
            f"importlinter:contract:{engine}",
            type="forbidden",
            source_modules=[engine],
            forbidden_modules=[ROUTING, *(name for name in above if name != service)],
        )
        for engine, service in engines.items()
    ]
    return "\n".join(parts)


def _testing_modules(found: list[Distribution]) -> list[str]:
    return [f"{package(d)}.{path.stem}" for d in found for path in sorted(d.path.glob(f"{package(d)}/testing*.py"))]


def package_of_service(engine: Distribution) -> str:
    """The package of the service that an engine serves: `voxmesh_stt` for stt/engines/moonshine."""
    return f"voxmesh_{engine.path.parent.parent.name}"


def _section(header: str, **fields: str | list[str]) -> str:
    lines = [f"[{header}]", f"name = {header}"]
    for name, value in fields.items():
        lines.append(f"{name} = " + (value if isinstance(value, str) else "".join(f"\n    {item}" for item in value)))
    return "\n".join(lines) + "\n"


def main() -> None:
    """Check all distributions; those that are not installed here are read where they lie."""
    found = [d for d in distributions().values() if d.path.name != "gen"]
    elsewhere = os.pathsep.join(str(d.path) for d in found if not d.default)
    with tempfile.NamedTemporaryFile("w", suffix=".ini") as file:
        file.write(contracts(found))
        file.flush()
        command = ["lint-imports", "--config", Path(file.name), "--no-cache"]
        sys.exit(subprocess.run(command, check=False, env={**os.environ, "PYTHONPATH": elsewhere}).returncode)


if __name__ == "__main__":
    main()
