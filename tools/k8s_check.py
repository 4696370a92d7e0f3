"""Render every host and combination of components and prove each document, without a cluster.

Three layers: kustomize must render it, the API's strict schema must accept it (no
unknown field passes), and the rules in `k8s_rules` must hold across documents.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from itertools import combinations
from pathlib import Path
from typing import Any, cast

import kubernetes_validate
import yaml
from k8s_rules import RULES, Mesh

ROOT = Path(__file__).resolve().parent.parent
KUBERNETES = "1.37"
"""Version of the API whose schema must hold."""
ENGINES = "k8s/components/default-engines"
GPU = "k8s/components/gpu"

_ENVIRONMENT = {**os.environ, "GOGC": "off"}
"""For kubectl: half of its short life would be garbage collection."""
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The safe loader that is there; the one in C takes a tenth of the time."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One thing an operator may apply: the base with some components, or a host as it is."""

    name: str
    base: Path
    components: tuple[Path, ...] = ()


def variants(root: Path) -> Iterator[Variant]:
    """All hosts, each engine, and all subsets of the optional components over the default engines."""
    for host in sorted((root / "k8s/hosts").glob("*/kustomization.yaml")):
        yield Variant(f"host {host.parent.name}", host.parent)
    base, engines = root / "k8s/base", root / ENGINES
    for engine in sorted(root.glob("services/*/engines/*/kustomization.yaml")):
        slot = engine.parents[2].name
        # A GPU engine needs the component behind it, as a host lists it; others do not notice it.
        yield Variant(f"engine {slot}/{engine.parent.name}", base, (engines, engine.parent, root / GPU))
    optional = sorted(path for path in (root / "k8s/components").iterdir() if path != engines)
    for size in range(len(optional) + 1):
        for chosen in combinations(optional, size):
            names = " + ".join(path.name for path in chosen) or "no components"
            yield Variant(f"base with {names}", base, (engines, *chosen))


def render(variant: Variant) -> list[dict[str, Any]]:
    """The documents that kustomize makes of `variant`.

    Raises:
        subprocess.CalledProcessError: kustomize refuses it; its words are in `stderr`.
    """
    with tempfile.TemporaryDirectory() as folder:
        overlay = Path(folder).resolve()
        if variant.components:
            (overlay / "kustomization.yaml").write_text(yaml.safe_dump(_overlay(variant, overlay)))
        target = overlay if variant.components else variant.base
        command = ["kubectl", "kustomize", str(target)]
        output = subprocess.run(command, check=True, capture_output=True, text=True, env=_ENVIRONMENT).stdout
    return [document for document in yaml.load_all(output, _Loader) if document]


def _overlay(variant: Variant, folder: Path) -> dict[str, object]:
    """A host made up for the check; like every host it owns the addresses of upstream models and backends."""
    backends = {
        "stt": [{"target": "dns:///stt:50052", "languages": ["en"]}, {"target": "dns:///stt.example.net:50052"}]
    }
    return {
        "namespace": "voxmesh",
        "resources": [os.path.relpath(variant.base.resolve(), folder)],
        "components": [os.path.relpath(path.resolve(), folder) for path in variant.components],
        "configMapGenerator": [
            {"name": "upstream-llm", "literals": ["url=http://upstream:8000/v1", "model=any"]},
            {"name": "coordinator-backends", "literals": [f"backends.json={json.dumps(backends)}"]},
        ],
    }


@cache
def schema_complaints(text: str) -> list[str]:
    """What the API's strict schema says against one document, as JSON; variants have most documents in common."""
    return list(_schema_complaints(json.loads(text)))


def _schema_complaints(document: dict[str, Any]) -> Iterator[str]:
    name = f"{document['kind']}/{document['metadata']['name']}"
    try:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        path = ".".join(map(str, cast("Any", error).path))
        yield f"{name}: {path or 'document'}: {cast('Any', error).message}"
    except kubernetes_validate.SchemaNotFoundError as error:
        yield f"{name}: {error.message}"


def complaints(variant: Variant, root: Path) -> list[str]:
    """Everything wrong with `variant`, most basic first; a later layer needs the earlier ones."""
    try:
        documents = render(variant)
    except subprocess.CalledProcessError as error:
        return [str(error.stderr).strip()]
    return complaints_about(documents, root)


def complaints_about(documents: list[dict[str, Any]], root: Path) -> list[str]:
    """Everything wrong with what was rendered of the repository at `root`: by the schema, else by the rules."""
    schema = [line for document in documents for line in schema_complaints(json.dumps(document))]
    if schema:
        return schema
    mesh = Mesh.of(documents, root)
    return [line for rule in RULES for line in rule(mesh)]


def check(root: Path, only: str = "") -> dict[str, list[str]]:
    """The complaints about each variant whose name contains `only`."""
    found = [variant for variant in variants(root) if only in variant.name]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(partial(complaints, root=root), found)
        return {variant.name: lines for variant, lines in zip(found, results, strict=True)}


def main() -> int:
    """Check all variants; 0 when none has a complaint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help="repository to check")
    parser.add_argument("only", nargs="?", default="", help="check the variants whose name contains this")
    arguments = parser.parse_args()
    results = check(arguments.root.resolve(), arguments.only)
    for name, lines in results.items():
        for line in lines:
            print(f"{name}: {line}", file=sys.stderr)
    wrong = sum(map(bool, results.values()))
    print(f"{len(results)} variants rendered and checked against Kubernetes {KUBERNETES}, {wrong} wrong")
    return 1 if wrong or not results else 0


if __name__ == "__main__":
    sys.exit(main())
