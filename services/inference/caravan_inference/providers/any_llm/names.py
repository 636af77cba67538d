"""Which providers any-llm has, read from the installed package without importing it.

Every one is ``remote::any-llm-<name>``; one that no other class of ours serves is ``remote::<name>`` as well.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from caravan_inference.providers.openai_compatible.presets import PRESETS

PACKAGE: Final = "any_llm"
INSTALL: Final = "pip install caravan-inference[any-llm]"
PREFIX: Final = "remote::any-llm-"
_REMOTE: Final = "remote::"
_TABLE: Final = "PROVIDER_REGISTRY"


@cache
def names() -> tuple[str, ...]:
    """any-llm's own names; none when it is not installed."""
    folder = _folder()
    if folder is None:
        return ()
    found = {path.parent.name for path in folder.glob("*/__init__.py")}
    found.update(_rows(folder / "registry.py"))
    return tuple(sorted(found))


def types() -> tuple[str, ...]:
    """Every provider type that any-llm serves here."""
    return tuple(kind for name in names() for kind in _spellings(name))


def name_of(kind: str) -> str:
    """any-llm's name in a provider type."""
    return kind.removeprefix(PREFIX).removeprefix(_REMOTE)


def missing(kind: str) -> str:
    """What to install so that the type `kind` may be there, as one sentence; "" when that would not help."""
    if names() or not kind.startswith(_REMOTE):
        return ""
    if kind.startswith(PREFIX):
        return f"the type {kind!r} needs any-llm, which is not installed here: {INSTALL}"
    return f"if {kind!r} is meant to be a provider of any-llm: {INSTALL}"


def _spellings(name: str) -> Iterator[str]:
    yield PREFIX + name
    if name not in PRESETS:
        yield _REMOTE + name


def _folder() -> Path | None:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "providers"


def _rows(path: Path) -> Iterator[str]:
    """Providers without a folder are rows of a table in this file: the keys of a dict."""
    if not path.is_file():
        return
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        target = (
            node.target
            if isinstance(node, ast.AnnAssign)
            else node.targets[0]
            if isinstance(node, ast.Assign)
            else None
        )
        if isinstance(target, ast.Name) and target.id == _TABLE and isinstance(node, ast.AnnAssign | ast.Assign):
            keys = node.value.keys if isinstance(node.value, ast.Dict) else []
            yield from (key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str))
