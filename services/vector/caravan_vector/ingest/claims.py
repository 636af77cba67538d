"""Who reads which file, and how far it is: rows that workers take up, get on with, and finish.

Everything that is written here names the epoch of the writer, so that a worker that was taken for dead and lives
writes nothing. Leases are by PostgreSQL's clock alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from caravan_contracts.context import Principal
from caravan_contracts.vectors import FailureCode
from caravan_storage.postgres import Postgres

from caravan_vector.stores.rows import STORE, UNSETTLE, Store, store

LEASE_SECONDS: Final = 15.0
"""How long a file belongs to a worker that says nothing."""
LONGEST_REASON: Final = 1_000
"""Characters."""
_CLAIM: Final = f"""
WITH f AS (
    UPDATE vector_files SET epoch = epoch + 1, lease = now() + make_interval(secs => $2),
        lost = lost + CASE WHEN lease > '-infinity' THEN 1 ELSE 0 END
    WHERE number = $1 AND status = 'in_progress' AND lease < now()
    RETURNING number AS file, store, id AS file_id, filename, attributes, chunking AS sizes, principal, epoch, chunks,
        bytes, done, lost, coalesce(extract(epoch FROM now() - troubled), 0) AS troubled
)
SELECT f.*, {STORE} FROM f JOIN vector_stores s ON s.number = f.store
"""  # noqa: S608 - literals of ours
_OURS: Final = "WHERE number = $1 AND epoch = $2 AND status = 'in_progress'"
_PROGRESS: Final = f"""
UPDATE vector_files SET chunks = $3, bytes = $4, done = $5, lost = 0, troubled = NULL,
    lease = now() + make_interval(secs => $6) {_OURS} RETURNING true
"""  # noqa: S608 - literals of ours
_FINISH: Final = f"""
UPDATE vector_files SET status = 'completed', left_over = false, lease = '-infinity' {_OURS} RETURNING true
"""  # noqa: S608 - literals of ours
_FAIL: Final = f"""
UPDATE vector_files SET status = 'failed', error = $3, reason = $4, lease = '-infinity' {_OURS} RETURNING true
"""  # noqa: S608 - literals of ours
_RELEASE: Final = f"""
UPDATE vector_files SET lease = '-infinity', lost = lost + $3,
    troubled = CASE WHEN $3 = 0 THEN coalesce(troubled, now()) END {_OURS}
"""  # noqa: S608 - literals of ours
_LEAVE: Final = f"UPDATE vector_files SET lease = '-infinity' {_OURS}"  # noqa: S608 - literals of ours
_RENEW: Final = """
UPDATE vector_files f SET lease = now() + make_interval(secs => $1) FROM unnest($2::bigint[], $3::integer[]) AS h (n, e)
WHERE f.number = h.n AND f.epoch = h.e AND f.status = 'in_progress' RETURNING f.number
"""
_WAITING: Final = f"""
SELECT f.number AS file, {STORE} FROM vector_files f JOIN vector_stores s ON s.number = f.store
WHERE f.status = 'in_progress' AND f.lease < now() AND s.state = 'ready'
    AND coalesce(f.queued < now() - make_interval(secs => $1), f.created < now() - interval '5 seconds')
ORDER BY f.number LIMIT $2
"""  # noqa: S608 - literals of ours
_OVER: Final = f"""
SELECT f.number AS file, {STORE} FROM vector_files f JOIN vector_stores s ON s.number = f.store
WHERE (f.status = 'removing' OR (f.status IN ('failed', 'cancelled') AND f.left_over)) AND f.lease < now()
    AND s.state = 'ready' ORDER BY f.number LIMIT $1
"""  # noqa: S608 - literals of ours
_CLEANED: Final = """
WITH gone AS (DELETE FROM vector_files WHERE number = ANY($1) AND status = 'removing' AND lease < now())
UPDATE vector_files SET left_over = false, chunks = 0, bytes = 0, done = -1
WHERE number = ANY($1) AND status IN ('failed', 'cancelled') AND lease < now()
"""
_STATE: Final = """
SELECT status, greatest(0, extract(epoch FROM lease - now()))::float8 AS left
FROM vector_files WHERE number = $1 AND lease > '-infinity' UNION ALL
SELECT status, 0 FROM vector_files WHERE number = $1 AND lease = '-infinity'
"""


@dataclass(slots=True)
class Claim:
    """A file in the hands of one worker, and how far it is."""

    number: int
    epoch: int
    store: Store
    file_id: str
    filename: str
    attributes: dict[str, Any]
    chunking: dict[str, Any]
    principal: Principal
    chunks: int
    bytes: int
    done: int
    lost: int
    """Times in a row that a worker left it without getting on."""
    troubled: float
    """Seconds since what it needs is away."""


class Claims:
    """Every method raises DependencyDown when PostgreSQL cannot be reached."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def take(self, number: int) -> Claim | None:
        """Take a file up; None when somebody else has it, or there is nothing to do."""
        async with self._postgres.acquire() as connection:
            row = await connection.fetchrow(_CLAIM, number, LEASE_SECONDS)
        if row is None:
            return None
        return Claim(
            row["file"],
            row["epoch"],
            store(row),
            row["file_id"],
            row["filename"],
            row["attributes"],
            row["sizes"],
            Principal.decode(row["principal"]),
            row["chunks"],
            row["bytes"],
            row["done"],
            row["lost"],
            float(row["troubled"]),
        )

    async def left(self, number: int) -> float | None:
        """Seconds for which somebody else has it; None when it is finished in some way."""
        async with self._postgres.acquire() as connection:
            row = await connection.fetchrow(_STATE, number)
        return float(row["left"]) if row is not None and row["status"] == "in_progress" else None

    async def renew(self, claims: Sequence[Claim]) -> set[int]:
        """Numbers of those that are still ours, for another while."""
        async with self._postgres.acquire() as connection:
            rows = await connection.fetch(
                _RENEW, LEASE_SECONDS, [claim.number for claim in claims], [claim.epoch for claim in claims]
            )
        return {row["number"] for row in rows}

    async def progress(self, claim: Claim) -> bool:
        """Write down how far it is; False when it is not ours any more."""
        async with self._postgres.acquire() as connection:
            return bool(
                await connection.fetchval(
                    _PROGRESS, claim.number, claim.epoch, claim.chunks, claim.bytes, claim.done, LEASE_SECONDS
                )
            )

    async def finish(self, claim: Claim) -> bool:
        """It is read; False when it is not ours any more."""
        async with self._postgres.acquire() as connection:
            # by itself, and first: whoever attaches files locks the store before them
            await connection.execute(UNSETTLE, claim.store.number)
            return bool(await connection.fetchval(_FINISH, claim.number, claim.epoch))

    async def fail(self, claim: Claim, code: FailureCode, reason: str) -> bool:
        """It cannot be read; False when it is not ours any more."""
        text = reason.replace("\0", "").encode("utf-8", "replace").decode()[:LONGEST_REASON]
        async with self._postgres.acquire() as connection:
            return bool(await connection.fetchval(_FAIL, claim.number, claim.epoch, code, text))

    async def release(self, claim: Claim, *, lost: bool) -> None:
        """Leave it to whoever comes: because its reader was lost, or because what it needs is away."""
        async with self._postgres.acquire() as connection:
            await connection.execute(_RELEASE, claim.number, claim.epoch, int(lost))

    async def leave(self, claim: Claim) -> None:
        """Leave it to whoever comes, at once: this process ends."""
        async with self._postgres.acquire() as connection:
            await connection.execute(_LEAVE, claim.number, claim.epoch)

    async def waiting(self, seconds: float, limit: int) -> list[tuple[int, Store]]:
        """Files whose job was not put into the queue, or so long ago that it may be lost."""
        async with self._postgres.acquire() as connection:
            rows = await connection.fetch(_WAITING, seconds, limit)
        return [(row["file"], store(row)) for row in rows]

    async def over(self, limit: int) -> list[tuple[int, Store]]:
        """Files whose chunks have to go."""
        async with self._postgres.acquire() as connection:
            rows = await connection.fetch(_OVER, limit)
        return [(row["file"], store(row)) for row in rows]

    async def must_go(self, number: int) -> bool:
        """Whether what is in the index of a file has no business there: it is not read, and will not be."""
        async with self._postgres.acquire() as connection:
            status = await connection.fetchval("SELECT status FROM vector_files WHERE number = $1", number)
        return status not in ("in_progress", "completed")

    async def cleaned(self, numbers: Sequence[int]) -> None:
        """Their chunks are gone. Those that a worker may still have are looked at again later."""
        async with self._postgres.acquire() as connection:
            await connection.execute(_CLEANED, list(numbers))
