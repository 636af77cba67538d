"""Tell a running NATS server of changed users, without a restart."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import urllib.request

from caravan_contracts.permissions import SERVICES

from caravan.errors import StartError
from caravan.runtime import nats, secrets, state
from caravan.runtime.paths import DataDir

_PATIENCE = 5.0


async def users(data: DataDir) -> bool:
    """Write the configuration anew and reload it; False when no server runs (the next start reads it).

    Raises :class:`StartError` when the server does not take it.
    """
    current = state.running(data)
    server = current.child("nats") if current else None
    if current is None or server is None or server.pid is None:
        return False
    part = nats.Nats(data, secrets.load(data, SERVICES), current.ports["nats"], current.ports["nats-monitor"])
    before = await asyncio.to_thread(_loaded_at, part.monitor_url)
    part.write_config()
    os.kill(server.pid, signal.SIGHUP)
    try:
        async with asyncio.timeout(_PATIENCE):
            while await asyncio.to_thread(_loaded_at, part.monitor_url) == before:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)
    except TimeoutError as error:
        raise StartError(
            f"The NATS server did not take its new configuration within {_PATIENCE:g} s; see {data.log('nats')}."
        ) from error
    return True


def _loaded_at(monitor_url: str) -> str:
    # no proxy: HTTP_PROXY without NO_PROXY would send even this loopback address there
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(f"{monitor_url}/varz", timeout=2) as answer:
        return str(json.load(answer)["config_load_time"])
