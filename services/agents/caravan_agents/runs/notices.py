"""Whoever wants to know hears that a response in the background has ended: noted with its end, told after it."""

from __future__ import annotations

import logging
from typing import Final, Literal

from caravan_contracts.errors import CaravanError
from caravan_storage.postgres import Postgres

from caravan_agents.webhooks.service import Webhooks

log = logging.getLogger(__name__)

_LATE: Final = """
SELECT tenant, response, status, ended FROM agents_notices WHERE ended < extract(epoch FROM now()) - 5
ORDER BY ended LIMIT 200
"""
Status = Literal["completed", "failed", "cancelled", "incomplete"]


class Notices:
    """One per process."""

    def __init__(self, postgres: Postgres, webhooks: Webhooks) -> None:
        self._postgres = postgres
        self._webhooks = webhooks

    def wanted(self, tenant: str, status: Status) -> bool:
        """Whether anybody is to be told of such an end."""
        return self._webhooks.wanted(tenant, status)

    async def tell(self, tenant: str, id: str, status: Status, at: int) -> None:
        """Tell now, if that can be; if not, :meth:`sweep` does. `at` is when it ended, in Unix seconds."""
        try:
            await self._tell(tenant, id, status, at)
        except (CaravanError, TimeoutError) as error:
            log.info("that a response has ended is told later: %s", error, extra={"response": id})

    async def sweep(self) -> None:
        """Tell what was not told. Raises DependencyDown, Unavailable, QueueFull."""
        async with self._postgres.acquire() as connection:
            rows = await connection.fetch(_LATE)
        for row in rows:
            await self._tell(row["tenant"], row["response"], row["status"], row["ended"])

    async def _tell(self, tenant: str, id: str, status: Status, at: int) -> None:
        await self._webhooks.notify(tenant, id, status, at)
        async with self._postgres.acquire() as connection:
            await connection.execute("DELETE FROM agents_notices WHERE tenant = $1 AND response = $2", tenant, id)
