"""How large each distribution is: lines, modules, the most tangled classes, and import cycles; `make sizes`.

A line counts unless it is blank or a comment alone; docstrings count. A class's complexity is the sum of its
methods' (branches, loops, handlers, conditions and comprehensions, one each, and one a method). A cycle is a set
of modules that all import one another, imports for types alone included.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import grimp
from distributions import ROOT, Distribution, distributions

_BRANCHES = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.match_case, ast.comprehension)
_CLASSES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Size:
    """What one distribution weighs."""

    name: str
    lines: int
    modules: int
    largest: tuple[str, int]
    """The module with the most lines, below the distribution's folder, and its lines."""
    classes: list[tuple[str, int]]
    """The classes with the highest summed complexity, the highest first."""
    cycles: list[frozenset[str]]

    @classmethod
    def of(cls, distribution: Distribution) -> Size:
        """Measure the package of a distribution; its tests and benchmarks are left out."""
        package = distribution.path / distribution.name.replace("-", "_")
        texts = {str(path.relative_to(distribution.path)): path.read_text() for path in sorted(package.rglob("*.py"))}
        lines = {name: count_lines(text) for name, text in texts.items()}
        classes = sorted(chain.from_iterable(map(complexities, texts.values())), key=lambda found: -found[1])
        largest = max(lines.items(), key=lambda found: found[1], default=("", 0))
        return cls(
            distribution.name, sum(lines.values()), len(lines), largest, classes[:_CLASSES_SHOWN], cycles(package)
        )


def count_lines(text: str) -> int:
    """Lines that are neither blank nor a comment alone."""
    return sum(line.strip()[:1] not in {"", "#"} for line in text.splitlines())


def complexities(text: str) -> Iterator[tuple[str, int]]:
    """Every class of a module with the summed complexity of its methods."""
    for found in ast.walk(ast.parse(text)):
        if isinstance(found, ast.ClassDef):
            yield found.name, sum(map(_complexity, found.body))


def _complexity(statement: ast.stmt) -> int:
    if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return 0
    return 1 + sum(map(_branches, ast.walk(statement)))


def _branches(node: ast.AST) -> int:
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    return isinstance(node, _BRANCHES) + (len(node.ifs) if isinstance(node, ast.comprehension) else 0)


def cycles(package: Path) -> list[frozenset[str]]:
    """The sets of modules of a package that import one another, the largest first."""
    sys.path.insert(0, str(package.parent))
    try:
        graph = grimp.build_graph(package.name, cache_dir=None)
    finally:
        sys.path.remove(str(package.parent))
    found = {
        frozenset({module, *others})
        for module in graph.modules
        if (others := graph.find_upstream_modules(module) & graph.find_downstream_modules(module))
    }
    return sorted(found, key=len, reverse=True)


def table(sizes: Iterable[Size]) -> Iterator[str]:
    """One line a distribution, then what each cycle is made of."""
    sizes = list(sizes)
    yield f"{'':38}{'lines':>7}{'modules':>9}{'cycles':>8}  largest module; classes by complexity"
    for size in sizes:
        classes = ", ".join(f"{name} {value}" for name, value in size.classes)
        module = f"{size.largest[0].partition('/')[2]} {size.largest[1]}"
        yield f"{size.name:38}{size.lines:7,}{size.modules:9}{len(size.cycles):8}  {module}; {classes}"
    yield f"{'all':38}{sum(s.lines for s in sizes):7,}{sum(s.modules for s in sizes):9}"
    for size in sizes:
        for cycle in size.cycles:
            yield f"{size.name}: a cycle: {', '.join(sorted(cycle))}"


def main() -> None:
    """Print the table; with names, of these distributions alone."""
    parser = argparse.ArgumentParser(description="Lines, modules, complexity and import cycles of each distribution.")
    parser.add_argument("names", nargs="*", help="distributions, such as voxmesh-coordinator; else all")
    names = set(parser.parse_args().names)
    known = {name: found for name, found in distributions().items() if found.path != ROOT / "protos/gen"}
    if unknown := names - set(known):
        parser.error(f"no such distribution: {', '.join(sorted(unknown))}")
    for line in table(Size.of(found) for name, found in known.items() if not names or name in names):
        print(line)


if __name__ == "__main__":
    main()
