"""Packages that only some kinds of shields need."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from caravan_safety.errors import PackageMissing


def need(package: str, install: str, shield: str) -> None:
    """Raises PackageMissing, which says what to install."""
    if importlib.util.find_spec(package) is None:
        raise PackageMissing(f"shields of type {shield} need {install} where the safety service runs")


def load(module: str) -> Any:
    """Imported now: it takes long, or brings much, and few need it."""
    return importlib.import_module(module)
