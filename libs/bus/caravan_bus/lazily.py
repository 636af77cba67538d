"""Modules that cost nothing until something of them is used."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any


def lazily(name: str) -> None:
    """Have ``import name`` put its work off until an attribute is looked for. Nothing happens when it is loaded
    already, or not installed.

    nats-py imports aiohttp for WebSockets, which hardly anybody uses: 14 MB and a quarter of a second in each process.
    FastStream imports uvicorn to say whether it is there.
    (`importlib.util.LazyLoader` does not do: the import statement itself looks at ``__spec__``, which loads it.)
    """
    if name in sys.modules:
        return
    spec = importlib.util.find_spec(name)
    if spec is not None:
        sys.modules[name] = made = _Later(name)
        made.__spec__ = spec
        made.__file__ = spec.origin


class _Later(ModuleType):
    """Stands in for a module, also for those who keep it."""

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__") and attribute != "__path__":
            raise AttributeError(attribute)  # somebody only looks around
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        real = importlib.import_module(self.__name__)
        self.__dict__.update(real.__dict__)
        return getattr(real, attribute)
