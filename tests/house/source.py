"""The repository's own source, parsed once: what the house rules look at."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "caravan_contracts": ROOT / "libs/contracts",
    "caravan_bus": ROOT / "libs/bus",
    "caravan_storage": ROOT / "libs/storage",
    "caravan_gateway": ROOT / "services/gateway",
    "caravan_registry": ROOT / "services/registry",
    "caravan_inference": ROOT / "services/inference",
    "caravan_recorder": ROOT / "services/recorder",
    "caravan_agents": ROOT / "services/agents",
    "caravan_files": ROOT / "services/files",
    "caravan_vector": ROOT / "services/vector",
    "caravan_safety": ROOT / "services/safety",
    "caravan_client": ROOT / "libs/client",
    "caravan": ROOT,
}
"""Import name -> the folder that holds it and its pyproject.toml."""


@dataclass(frozen=True)
class Source:
    """One Python file of ours."""

    package: str
    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, str(self.path))

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))


def sources(*packages: str) -> list[Source]:
    """Every file of these packages (of all when none is named), without their tests."""
    return [source for package in packages or PACKAGES for source in _of(package)]


@cache
def _of(package: str) -> tuple[Source, ...]:
    paths = sorted((PACKAGES[package] / package).rglob("*.py"))
    return tuple(Source(package, path) for path in paths if "tests" not in path.parts)


def docstrings(tree: ast.Module) -> set[int]:
    """Ids of the string nodes that are prose: docstrings and the bare strings below attributes."""
    return {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }


def imported(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """(top-level package, line) of every import, wherever it stands; imports for types alone are left out."""
    typing_only: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            typing_only.update(id(inner) for statement in node.body for inner in ast.walk(statement))
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from ((name.name.partition(".")[0], node.lineno) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0], node.lineno
