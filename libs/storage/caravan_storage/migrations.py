"""Numbered SQL files (``0001_first.sql``) in a service's package, applied once each, whoever starts first.

One transaction under an advisory lock: any number of replicas may start together, and a file that fails leaves
nothing behind. What was applied is remembered with its checksum in ``schema_migrations``.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from dataclasses import dataclass
from importlib import resources

from asyncpg.exceptions import DataError, IntegrityConstraintViolationError, SyntaxOrAccessError
from caravan_contracts.errors import CaravanError, DependencyDown

from caravan_storage.backoff import pauses
from caravan_storage.postgres import Connection, Postgres

log = logging.getLogger(__name__)

_LOCK = 7_204_118_321
"""Key of the advisory lock; one for all services, because they share the table."""
_PATIENCE = 60.0
_FILE = re.compile(r"(\d{4})_[a-z0-9_]+\.sql\Z")
_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    service    text NOT NULL,
    version    integer NOT NULL,
    name       text NOT NULL,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (service, version)
)
"""


class MigrationError(CaravanError):
    """The database and the files disagree, or a file is misnamed."""

    code = "migration_failed"


@dataclass(frozen=True, slots=True)
class Migration:
    """One file."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, in hex."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def load(package: str) -> list[Migration]:
    """The ``*.sql`` files of `package`, in order. Raises MigrationError for bad names and doubled numbers."""
    found: dict[int, Migration] = {}
    for entry in resources.files(package).iterdir():
        if not entry.name.endswith(".sql"):
            continue
        match = _FILE.match(entry.name)
        if match is None:
            raise MigrationError(f"{package}/{entry.name}: name migrations like 0001_what_it_does.sql")
        version = int(match[1])
        if version in found:
            raise MigrationError(f"{package}: {entry.name} and {found[version].name} have the same number")
        found[version] = Migration(version, entry.name, entry.read_text("utf-8"))
    return [found[version] for version in sorted(found)]


async def migrate(postgres: Postgres, service: str, migrations: list[Migration]) -> list[str]:
    """Apply what is new; the names of what was. Raises MigrationError and DependencyDown."""
    async with postgres.transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK, timeout=_PATIENCE)
        await connection.execute(_TABLE)
        rows = await connection.fetch(
            "SELECT version, name, checksum FROM schema_migrations WHERE service = $1", service
        )
        applied = {row["version"]: row for row in rows}
        known = {migration.version for migration in migrations}
        if newer := sorted(set(applied) - known):
            log.warning("the tables of %s are newer than this program (migrations %s)", service, newer)
        return [
            migration.name
            for migration in migrations
            if await _apply(connection, service, migration, applied.get(migration.version))
        ]


async def migrate_once_there(postgres: Postgres, service: str, package: str) -> bool:
    """Apply the migrations of `package` as soon as PostgreSQL is there; True. Raises MigrationError."""
    files = load(package)
    for pause in pauses():
        try:
            await migrate(postgres, service, files)
        except DependencyDown as error:
            log.info("waiting for PostgreSQL: %s", error.message)
            await asyncio.sleep(pause)
        else:
            break
    return True


async def _apply(connection: Connection, service: str, migration: Migration, row: Connection | None) -> bool:
    if row is not None:
        if row["checksum"] != migration.checksum:
            raise MigrationError(
                f"{migration.name} of {service} was changed after it had been applied to this database: "
                "restore the file and write the change as a new migration"
            )
        return False
    log.info("applying %s of %s", migration.name, service)
    try:
        await connection.execute(migration.sql, timeout=_PATIENCE)
    except (SyntaxOrAccessError, DataError, IntegrityConstraintViolationError) as error:
        raise MigrationError(f"{migration.name} of {service} failed: {error}") from error
    await connection.execute(
        "INSERT INTO schema_migrations (service, version, name, checksum) VALUES ($1, $2, $3, $4)",
        service,
        migration.version,
        migration.name,
        migration.checksum,
    )
    return True
