"""The tables of the indexes, and the extension they need."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Final

import asyncpg
from caravan_contracts.errors import CaravanError, DependencyDown
from caravan_storage import migrations
from caravan_storage.backoff import pauses
from caravan_storage.postgres import Connection, Postgres

log = logging.getLogger(__name__)

_NEEDED: Final = (0, 8)
"""Of pgvector: iterative scans."""
_LOCK: Final = 7_204_118_322
"""Key of the advisory lock under which the extension is made."""


class NoPgvector(CaravanError):
    """The database has no pgvector, or one that is too old; the message says what to do."""

    code = "pgvector_missing"


async def prepare(postgres: Postgres, service: str = "vector") -> list[str]:
    """Make what is not there yet; the names of the migrations that were applied. Any number of replicas may call it
    at once. Raises NoPgvector, MigrationError and DependencyDown."""
    async with postgres.transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK, timeout=60.0)
        await _extension(connection)
    return await migrations.migrate(postgres, service, migrations.load("caravan_vector.migrations"))


async def prepare_once_there(postgres: Postgres) -> bool:
    """The same as soon as PostgreSQL is there; True. Raises NoPgvector and MigrationError."""
    for pause in pauses():
        try:
            await prepare(postgres)
        except DependencyDown as error:
            log.info("waiting for PostgreSQL: %s", error.message)
            await asyncio.sleep(pause)
        else:
            break
    return True


async def _extension(connection: Connection) -> None:
    try:
        await connection.execute("CREATE EXTENSION IF NOT EXISTS vector", timeout=60.0)
    except asyncpg.InsufficientPrivilegeError as error:
        raise NoPgvector(
            "the database has no pgvector and this user may not add it: "
            "let a superuser run CREATE EXTENSION vector there"
        ) from error
    except (asyncpg.FeatureNotSupportedError, asyncpg.UndefinedFileError) as error:
        raise NoPgvector(
            "the PostgreSQL server has no pgvector: install it there (the image pgvector/pgvector has it), 0.8 or newer"
        ) from error
    version = await connection.fetchval("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < _NEEDED:
        raise NoPgvector(
            f"the database has pgvector {version}, but 0.8 is needed: "
            "install a newer one and run ALTER EXTENSION vector UPDATE"
        )
