"""What tests share: a suite for each slot, real servers and clients; pytest shows what its assertions compare."""

from __future__ import annotations

import pkgutil

import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)))
