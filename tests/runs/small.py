"""A mesh of its own for a few tests, and what its PostgreSQL has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from tests.mesh.running import RunningMesh
from tests.upstream.scripted import ScriptedUpstream


@contextmanager
def small(folder: Path, upstream: ScriptedUpstream, scale: str = "agents=1", **more: str) -> Iterator[RunningMesh]:
    """Without keys; `more` is its environment."""
    made = RunningMesh(folder, upstream, scale=scale, environment=more)
    made.start()
    try:
        made.until(made.all_ready)
        yield made
    finally:
        made.stop()


def hosts(*urls: str) -> str:
    """As in CARAVAN_AGENTS_ALLOWED_HOSTS."""
    return ",".join(urlsplit(url).netloc for url in urls)


def database_url(mesh: RunningMesh) -> str:
    """Of the mesh's PostgreSQL."""
    return (mesh.folder / "data" / "run" / "database.url").read_text().strip()


async def rows(mesh: RunningMesh, query: str, *args: Any) -> list[Any]:
    """What PostgreSQL of the mesh says."""
    connection = await asyncpg.connect(database_url(mesh))
    try:
        return list(await connection.fetch(query, *args, timeout=10))
    finally:
        await connection.close()
