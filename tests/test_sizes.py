"""What `make sizes` counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from sizes import complexities, count_lines, cycles

pytestmark = pytest.mark.unit

MODULE = '''"""Counts.

So does this."""

# Not this.
class Door:  # but this

    def open(self, key):
        if key or self.lock is None:
            return [hinge for hinge in self.hinges if hinge]
        try:
            return self.knock()
        except OSError:
            return None

    async def knock(self):
        while True:
            match self.answer:
                case 1:
                    return 1


def alone():
    if True:
        return 1
'''


def test_docstrings_are_lines_and_blanks_and_comments_alone_are_none() -> None:
    assert count_lines(MODULE) == 18


def test_the_complexity_of_a_class_is_that_of_its_methods() -> None:
    # open: 1 + if + or + comprehension and its condition + except; knock: 1 + while + case.
    assert list(complexities(MODULE)) == [("Door", 9)]


def test_modules_that_import_one_another_are_a_cycle_also_for_types_alone(tmp_path: Path) -> None:
    package = tmp_path / "ring"
    package.mkdir()
    typing = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ring import a\n"
    for name, text in (("__init__", ""), ("a", "from ring.b import x\n"), ("b", typing), ("c", "import ring.a\n")):
        (package / f"{name}.py").write_text(text)
    assert cycles(package) == [frozenset({"ring.a", "ring.b"})]
