"""Help texts of verbs, from their docstrings."""

from __future__ import annotations

import inspect
from collections.abc import Callable


def help_of(verb: Callable[..., None]) -> str:
    """The verb's docstring with its examples kept line by line."""
    return inspect.cleandoc(verb.__doc__ or "").replace("Examples:", "\b\nExamples:")
