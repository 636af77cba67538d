"""Runs in PostgreSQL: what is under way, whose it is, and how far.

Whoever takes a run over gets a new epoch. Everything that is written of a run names the writer's epoch, so a process
that was taken for dead and lives writes nothing. Leases are by PostgreSQL's clock alone. Nobody
has a run that waits: its lease says when it was queued last.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from caravan_contracts.context import Principal
from caravan_storage.postgres import Connection, Postgres

from caravan_agents.runs.log import taken

LEASE_SECONDS: Final = 6.0
"""How long a run belongs to a process that says nothing."""
_SECONDS: Final = 30.0
_CREATED: Final = "extract(epoch FROM created)::bigint AS created_at"
_ROW: Final = (
    f"number, tenant, id, model, principal, background, body, epoch, {_CREATED}, lost, cancelled, opened, checkpoint"
)
_ACCEPT: Final = """
INSERT INTO agents_runs (tenant, id, model, principal, background, body, status, owner, epoch, lease, created)
SELECT $1, $2, $3, $4, $5, $6, CASE WHEN $7 = '' THEN 'queued' ELSE 'in_progress' END, $7,
       CASE WHEN $7 = '' THEN 0 ELSE 1 END,
       now() + make_interval(secs => CASE WHEN $7 = '' THEN 0 ELSE $8 END), to_timestamp($10)
WHERE $9 = 0 OR (SELECT count(*) FROM (SELECT 1 FROM agents_runs WHERE status = 'queued' LIMIT $9) AS q) < $9
ON CONFLICT (tenant, id) DO NOTHING RETURNING number
"""
_CLAIM: Final = f"""
UPDATE agents_runs SET owner = $3, epoch = epoch + 1, status = 'in_progress',
    lease = now() + make_interval(secs => $4), lost = lost + CASE WHEN owner = '' THEN 0 ELSE 1 END
WHERE tenant = $1 AND id = $2 AND ($5 OR status = 'queued' OR lease < now()) RETURNING {_ROW}
"""  # noqa: S608 - literals of ours
_CHECKPOINT: Final = """
UPDATE agents_runs SET opened = coalesce($3, opened), checkpoint = $4, lost = 0, epoch = epoch
WHERE number = $1 AND epoch = $2 RETURNING number
"""
_KNOWN: Final = f"""
SELECT status, background, owner, lease > now() AS alive, body, opened, checkpoint, {_CREATED}
FROM agents_runs WHERE tenant = $1 AND id = $2
"""  # noqa: S608 - literals of ours
_KEEP_EVENTS: Final = """
INSERT INTO agents_events (tenant, response, first, data) VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant, response, first) DO UPDATE SET data = excluded.data
"""
"""A later piece from the same event on has more."""
_PIECES: Final = """
SELECT first, data FROM agents_events WHERE tenant = $1 AND response = $2 AND first >= coalesce((
    SELECT max(first) FROM agents_events WHERE tenant = $1 AND response = $2 AND first <= $3), 0) ORDER BY first
"""
_RENEW: Final = """
UPDATE agents_runs r SET lease = now() + make_interval(secs => $1) FROM unnest($2::bigint[], $3::integer[]) AS h (n, e)
WHERE r.number = h.n AND r.epoch = h.e RETURNING r.number, r.epoch, r.cancelled
"""
_RELEASE: Final = """
UPDATE agents_runs SET owner = '', lease = '-infinity', lost = lost + $3 WHERE number = $1 AND epoch = $2
"""
_WITHDRAW: Final = """
WITH gone AS (
    DELETE FROM agents_runs WHERE tenant = $1 AND id = $2 AND owner = $3 AND epoch = $4 RETURNING tenant, id
)
DELETE FROM agents_events e USING gone WHERE e.tenant = gone.tenant AND e.response = gone.id
"""
_PUBLISHED: Final = """
UPDATE agents_runs SET published = true, lease = CASE WHEN status = 'queued' THEN now() ELSE lease END
WHERE tenant = $1 AND id = $2
"""
_LEFT: Final = """
SELECT tenant, id, background FROM agents_runs
WHERE (status = 'queued' AND lease < now() - make_interval(secs => CASE WHEN published THEN $2 ELSE 5 END))
   OR (status = 'in_progress' AND lease < now() - make_interval(secs => $1))
ORDER BY number LIMIT 500
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A run that is ours."""

    number: int
    tenant: str
    id: str
    model: str
    principal: Principal
    background: bool
    body: bytes
    epoch: int
    created_at: int
    """Unix seconds."""
    lost: int = 0
    cancelled: bool = False
    opened: bytes | None = None
    checkpoint: bytes | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """A run that may be anybody's."""

    status: str
    background: bool
    owner: str
    alive: bool
    """Whether its owner's lease lasts."""
    body: bytes
    opened: bytes | None
    checkpoint: bytes | None
    created_at: int


class Journal:
    """Every method raises DependencyDown while PostgreSQL cannot be reached."""

    def __init__(self, postgres: Postgres) -> None:
        self.postgres = postgres

    async def accept(
        self,
        tenant: str,
        id: str,
        model: str,
        principal: Principal,
        body: bytes,
        background: bool,
        created_at: int,
        owner: str = "",
        queued: int = 0,
        events: bytes = b"",
    ) -> int | None:
        """Write a new run down: the owner's, or of nobody yet. None when as many as `queued` (unless 0) wait. Raises
        RunTaken when there is one of that id."""
        async with self.postgres.transaction() as connection:
            who = principal.encode()
            number: int | None = await connection.fetchval(
                _ACCEPT, tenant, id, model, who, background, body, owner, LEASE_SECONDS, queued, created_at
            )
            if number is None:
                known = await connection.fetchval("SELECT 1 FROM agents_runs WHERE tenant = $1 AND id = $2", tenant, id)
                if known:
                    raise taken()
                return None
            if await connection.fetchval("SELECT 1 FROM agents_responses WHERE tenant = $1 AND id = $2", tenant, id):
                raise taken()  # it was made before
            if events:
                await keep_events(connection, tenant, id, [(0, events)])
        return number

    async def withdraw(self, tenant: str, id: str, owner: str = "", epoch: int = 0) -> None:
        """It was never accepted; unless somebody else has it by now."""
        await self._execute(_WITHDRAW, tenant, id, owner, epoch)

    async def published(self, tenant: str, id: str) -> None:
        """Its job is in the queue."""
        await self._execute(_PUBLISHED, tenant, id)

    async def claim(self, tenant: str, id: str, owner: str, force: bool = False) -> Claimed | None:
        """Take a run that nobody has; with `force` whoever has it. None when somebody has it, or it is over."""
        async with self.postgres.acquire() as connection:
            row = await connection.fetchrow(_CLAIM, tenant, id, owner, LEASE_SECONDS, force, timeout=_SECONDS)
        if row is None:
            return None
        return Claimed(**{**dict(row), "principal": Principal.decode(row["principal"])})

    async def known(self, tenant: str, id: str) -> Known | None:
        """A run that is under way, or waits."""
        async with self.postgres.acquire() as connection:
            row = await connection.fetchrow(
                _KNOWN,
                tenant,
                id,
                timeout=_SECONDS,
            )
        return Known(**dict(row)) if row is not None else None

    async def checkpoint(
        self, run: Claimed, state: bytes, events: Sequence[tuple[int, bytes]], opened: bytes | None = None
    ) -> None:
        """It got on. Raises RunTaken."""
        async with self.postgres.transaction() as connection:
            await _fenced(connection, _CHECKPOINT, run.number, run.epoch, opened, state)
            await keep_events(connection, run.tenant, run.id, events)

    async def keep(self, run: Claimed, events: Sequence[tuple[int, bytes]]) -> None:
        """Events that nobody else has now. Raises RunTaken."""
        async with self.postgres.transaction() as connection:
            await _ours(connection, run)
            await keep_events(connection, run.tenant, run.id, events)

    async def drop(self, run: Claimed, first: int) -> None:
        """Events from the number `first` on were never seen. Raises RunTaken."""
        async with self.postgres.transaction() as connection:
            await _ours(connection, run)
            await connection.execute(
                "DELETE FROM agents_events WHERE tenant = $1 AND response = $2 AND first >= $3",
                run.tenant,
                run.id,
                first,
            )

    async def begin_call(self, run: Claimed, call: str) -> None:
        """The work is about to begin. Raises RunTaken."""
        async with self.postgres.transaction() as connection:
            await _ours(connection, run)
            await connection.execute(
                "INSERT INTO agents_calls (run, call) VALUES ($1, $2) ON CONFLICT DO NOTHING", run.number, call
            )

    async def end_call(self, run: Claimed, call: str, outcome: bytes) -> None:
        """How it went. Raises RunTaken."""
        async with self.postgres.transaction() as connection:
            await _ours(connection, run)
            await connection.execute(
                "UPDATE agents_calls SET outcome = $3 WHERE run = $1 AND call = $2", run.number, call, outcome
            )

    async def calls(self, run: Claimed) -> dict[str, bytes | None]:
        """Calls that were begun, with the outcomes that are known."""
        async with self.postgres.acquire() as connection:
            rows = await connection.fetch(
                "SELECT call, outcome FROM agents_calls WHERE run = $1", run.number, timeout=_SECONDS
            )
        return {row["call"]: row["outcome"] for row in rows}

    async def release(self, run: Claimed, failed: bool = False) -> None:
        """Somebody else may go on with it at once; `failed` when it is not known why it could not be gone on with
        here."""
        await self._execute(_RELEASE, run.number, run.epoch, int(failed))

    async def renew(self, held: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bool]:
        """Say that the owner of these runs (number, epoch) lives. Those it still has, and whether their end is
        wished."""
        numbers, epochs = [number for number, _ in held], [epoch for _, epoch in held]
        async with self.postgres.acquire() as connection:
            rows = await connection.fetch(_RENEW, LEASE_SECONDS, numbers, epochs)
        return {(row["number"], row["epoch"]): row["cancelled"] for row in rows}

    async def wish_end(self, tenant: str, id: str) -> None:
        """Somebody cancelled it."""
        await self._execute("UPDATE agents_runs SET cancelled = true WHERE tenant = $1 AND id = $2", tenant, id)

    async def left(self, seconds: float, queued: float) -> list[tuple[str, str, bool]]:
        """Runs that nobody seems to care for: their job was never published, or waits for more than `queued` seconds,
        or their owner has said nothing for `seconds` beyond its lease. Tenant, id, whether in the background."""
        async with self.postgres.acquire() as connection:
            rows = await connection.fetch(_LEFT, seconds, queued)
        return [(row["tenant"], row["id"], row["background"]) for row in rows]

    async def events(self, tenant: str, id: str, first: int = 0) -> list[tuple[int, bytes]]:
        """Pieces of the log that may have events from the number `first` on, in order."""
        async with self.postgres.acquire() as connection:
            rows = await connection.fetch(_PIECES, tenant, id, first, timeout=_SECONDS)
        return [(row["first"], zlib.decompress(row["data"])) for row in rows]

    async def _execute(self, statement: str, *args: Any) -> None:
        async with self.postgres.acquire() as connection:
            await connection.execute(statement, *args)


async def end(connection: Connection, run: Claimed) -> None:
    """Its response is stored with this transaction. Raises RunTaken."""
    await _fenced(
        connection, "DELETE FROM agents_runs WHERE number = $1 AND epoch = $2 RETURNING number", run.number, run.epoch
    )


async def keep_events(connection: Connection, tenant: str, id: str, events: Sequence[tuple[int, bytes]]) -> None:
    """Write events down, as one piece."""
    if events:
        await connection.execute(
            _KEEP_EVENTS,
            tenant,
            id,
            *packed(events),
            timeout=_SECONDS,
        )


def packed(events: Sequence[tuple[int, bytes]]) -> tuple[int, bytes]:
    """Events as a row of the table has them: the number of the first, and all of them."""
    return events[0][0], zlib.compress(b"".join([piece for _, piece in events]), 1)


async def _ours(connection: Connection, run: Claimed) -> None:
    await _fenced(
        connection,
        "SELECT number FROM agents_runs WHERE number = $1 AND epoch = $2 FOR UPDATE",
        run.number,
        run.epoch,
    )


async def _fenced(connection: Connection, statement: str, *args: Any) -> None:
    if await connection.fetchval(statement, *args, timeout=_SECONDS) is None:
        raise taken()
