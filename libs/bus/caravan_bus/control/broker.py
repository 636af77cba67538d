"""FastStream's connection: made when NATS is there, kept for ever, drained at the end."""

from __future__ import annotations

import asyncio
import logging
import random
from functools import partial
from typing import Any

from faststream.nats import NatsBroker
from nats import errors

from caravan_bus import reconnecting
from caravan_bus.control.messages import Answering, Counts
from caravan_bus.nats import NatsOptions

log = logging.getLogger(__name__)


def make(options: NatsOptions, counts: Counts) -> NatsBroker:
    """A broker without FastStream's logging (two records a message), injection and JSON guessing."""
    return NatsBroker(
        [part.strip() for part in options.url.split(",")],
        nkeys_seed_str=options.seed or None,
        name=f"{options.name} (requests)",
        inbox_prefix=f"_INBOX.{options.user}",
        max_reconnect_attempts=-1,
        reconnect_time_wait=0,
        reconnect_to_server_handler=reconnecting.pause,
        connect_timeout=2,
        ping_interval=5,
        max_outstanding_pings=2,
        error_cb=_on_error,
        logger=None,
        apply_types=False,
        middlewares=(partial(Answering, counts=counts),),
    )


async def start(broker: NatsBroker) -> bool:
    """Connect and subscribe, trying for ever; True."""
    pause = 0.05
    while True:
        try:
            await broker.start()
            _never_leave(broker)
            return True
        except Exception as error:  # noqa: BLE001 - nats-py raises bare errors of many kinds while connecting
            log.info("waiting for NATS: %r", error)
            await broker.stop()
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(reconnecting.LONGEST_PAUSE, pause * 2)


def _never_leave(broker: NatsBroker) -> None:
    """A refusal is not the end, as on our other connection: nats-py would close this one for ever, and FastStream's
    callback would end nats-py's reconnecting by an exception."""
    connection = broker._connection
    if connection is not None:
        connection._error_cb = _on_error
        connection._process_err = partial(reconnecting.refused, connection)  # type: ignore[method-assign]


async def drain(broker: NatsBroker, timeout: float, counts: Counts | None = None) -> None:
    """Take nothing new, answer what was taken, for at most `timeout` seconds. `counts` knows what handlers that run
    beside each other (``max_workers``) still have; others are waited for without it."""
    subscribers: list[Any] = [s for s in broker.subscribers if getattr(s, "subscription", None) is not None]
    try:
        async with asyncio.timeout(timeout):
            await asyncio.gather(*(subscriber.subscription.drain() for subscriber in subscribers))
            for subscriber in subscribers:
                subscriber.subscription = None  # there is nothing left to unsubscribe when the broker stops
            if counts is not None and counts.active:
                await counts.idle.wait()
    except TimeoutError:
        log.warning("some requests were not answered within %.0f s", timeout)
    except Exception as error:  # noqa: BLE001 - NATS may be gone: there is nobody to answer then
        log.info("left without draining: %r", error)


async def stop(broker: NatsBroker) -> None:
    """Leave. The connection is closed in any case: one that stays open goes on answering."""
    connection = broker._connection
    try:
        async with asyncio.timeout(5.0):
            if connection is not None:
                await reconnecting.end(connection)
            await broker.stop()
    except Exception as error:  # noqa: BLE001 - see drain
        log.info("left NATS unasked: %r", error)
    if connection is None or connection.is_closed:
        return
    try:
        async with asyncio.timeout(2.0):
            await connection.close()
    except Exception as error:  # noqa: BLE001 - see drain
        log.info("a connection to NATS was left open: %r", error)


def connected(broker: NatsBroker) -> bool:
    """Whether requests arrive."""
    connection = broker._connection
    return connection is not None and connection.is_connected


async def _on_error(error: Exception) -> None:
    """A lost line is told by the other connection, once; here it would be one record per try."""
    lost = isinstance(error, OSError | errors.UnexpectedEOF | errors.StaleConnectionError)
    log.log(logging.DEBUG if lost else logging.WARNING, "NATS: %s", str(error) or repr(error))
