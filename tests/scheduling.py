"""Which of several test processes runs what (pytest-xdist): whoever starts a mesh runs all tests that use it.

A mesh is eight processes and takes seconds to start. What shares one is one piece of work, whatever its folders;
everything else is divided by file. What takes longest comes first, for the end then has small pieces to even it out.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.mesh.shared import mesh_of

_TESTS = Path(__file__).parent
_LONGEST = (
    "open_mesh",
    "keeping_mesh",
    "acting_mesh",
    "cancel",
    "vector",
    "recorder",
    "client",
    "tests/storage/objects/test_s3.py",
    "file_search",
    "tests/runtime/test_up.py",
    "tests/indexes/test_copies.py",
    "tests/runtime/test_infrastructure.py",
    "guarding",
    "tests/providers/test_llama_cpp.py",
    "clients_legacy",
    "tests/tools/test_hostile.py",
)


class ByMesh(LoadScopeScheduling):
    """The piece of work of a test is said behind its name."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.rpartition("@")[2]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByMesh:
    config.option.loadscopereorder = False  # by the number of tests, which says little about how long they take
    return ByMesh(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_place)


@pytest.hookimpl(wrapper=True)
def pytest_collection_finish(session: pytest.Session) -> Iterator[None]:
    """All that the scheduler, in another process, is told of a test is its name: here, with its piece behind it."""
    items = session.items
    if hasattr(session.config, "workerinput"):
        session.items = [SimpleNamespace(nodeid=f"{item.nodeid}@{_piece(item)}") for item in items]  # type: ignore[misc]
    try:
        yield
    finally:
        session.items = items


def _piece(item: pytest.Item) -> str:
    """A shared mesh, a folder whose own mesh is its fixture `mesh`, or a file."""
    if name := mesh_of(item):
        return name
    if "mesh" in getattr(item, "fixturenames", []):
        return item.path.relative_to(_TESTS).parts[0]
    return item.nodeid.partition("::")[0]


def _place(item: pytest.Item) -> int:
    """Stable: within a piece of work the order stays that of the files."""
    piece = _piece(item)
    return _LONGEST.index(piece) if piece in _LONGEST else len(_LONGEST)
