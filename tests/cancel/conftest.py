"""A mesh with two gateways in front of a scripted upstream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx2 as httpx
import pytest

from tests.cancel.books import Books
from tests.cancel.dialect_rows import APIS
from tests.cancel.table import stack
from tests.mesh.running import RESPONSES, RunningMesh
from tests.upstream.scripted import ScriptedUpstream


@pytest.fixture(scope="package")
def upstream() -> Iterator[ScriptedUpstream]:
    # in messages it says what it says in chats: nobody reads here what an upstream says
    made = ScriptedUpstream(chats=(*ScriptedUpstream.chats, "/v1/messages"))
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="package")
def mesh(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    made = RunningMesh(
        tmp_path_factory.mktemp("cancel"), upstream, scale=f"gateway=2,{RESPONSES}", stack=stack(upstream.url, APIS)
    )
    made.start()
    yield made
    made.stop()


@pytest.fixture
async def books(mesh: RunningMesh) -> AsyncIterator[Books]:
    async with httpx.AsyncClient(timeout=5) as http:
        yield Books(mesh, http)


@pytest.fixture(autouse=True)
async def quiet(books: Books, upstream: ScriptedUpstream) -> AsyncIterator[None]:
    """Each test begins and ends with nothing under way."""
    await books.agree({}, 10)
    yield
    await books.agree({}, 10)
    assert upstream.open == 0
