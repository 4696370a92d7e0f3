"""Empty modules in the place of those that a library imports and does not need for what it is used for here."""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


@contextmanager
def stand_ins(modules: Mapping[str, Mapping[str, Any]]) -> Generator[None]:
    """While open, importing one of these modules gives an empty one; afterwards all is as it was before.

    A library that looks for what is installed, as transformers does, must be imported before.

    Args:
        modules: what each module holds, by its full name, a package before what is in it.
    """
    before = {name: sys.modules.get(name) for name in modules}
    for name, members in modules.items():
        package, _, last = name.rpartition(".")
        sys.modules[name] = _module(name, members)
        if package in modules:
            setattr(sys.modules[package], last, sys.modules[name])
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def _module(name: str, members: Mapping[str, Any]) -> ModuleType:
    module = ModuleType(name)
    # A module without a specification makes whoever looks for it fail.
    module.__spec__ = ModuleSpec(name, None)
    module.__path__ = []
    vars(module).update(members)
    return module
