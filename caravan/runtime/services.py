"""Which services are installed: any package ``caravan_<name>`` with a ``__main__``; a new one joins by existing."""

from __future__ import annotations

import importlib.util
import pkgutil
from pathlib import Path

_PREFIX = "caravan_"


def installed() -> tuple[str, ...]:
    """Names of every service that can be run here, sorted."""
    names = {
        module.name.removeprefix(_PREFIX)
        for module in pkgutil.iter_modules()
        if module.ispkg and module.name.startswith(_PREFIX) and _runs(module.name)
    }
    return tuple(sorted(names | {name for name in _known() if _runs(_PREFIX + name)}))


def module(name: str) -> str:
    """The module to run for a service."""
    return _PREFIX + name


def _known() -> tuple[str, ...]:
    from caravan_contracts.users import SERVICES

    return SERVICES  # packages installed as editable by an import hook don't show up in a listing


def _runs(package: str) -> bool:
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    return any((Path(folder) / "__main__.py").is_file() for folder in folders or ())
