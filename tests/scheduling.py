"""Which of several test processes runs what (pytest-xdist): whoever starts a mesh runs all tests that use it.

A mesh is eight processes and takes seconds to start, so a folder whose tests share one is one piece of work. Its
fixtures have the scope of the package, so that the mesh is gone before the next one begins. Everything else is
divided by file. What takes longest comes first, for the end then has small pieces to even it out.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

_TESTS = Path(__file__).parent
_MESHES = (
    "cancel",
    "client",
    "once",
    "mesh",
    "runs",
    "clients",
    "stored",
    "responses",
    "examples",
    "tools",
    "conversations",
    "failover",
    "webhooks",
    "files",
    "vector",
    "search",
    "prompts",
)
"""Folders with a mesh, those that take longest first."""


class ByMesh(LoadScopeScheduling):
    """One piece of work is a folder with a mesh, or else a file."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        parts = Path(file).parts
        return parts[1] if parts[0] == _TESTS.name and parts[1] in _MESHES else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByMesh:
    config.option.loadscopereorder = False  # by the number of tests, which says little about how long they take
    return ByMesh(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    """Stable: within a piece of work the order stays that of the files."""
    folder = item.path.relative_to(_TESTS).parts[0] if item.path.is_relative_to(_TESTS) else ""
    return _MESHES.index(folder) if folder in _MESHES else len(_MESHES)
