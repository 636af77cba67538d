"""The streams and the consumer of a queue, as its row in the contracts says.

Made by the queue's workers at their start. Bounds that changed are brought up to date; jobs are kept over that.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from caravan_contracts import subjects as s
from caravan_contracts.work import Queue

from caravan_bus.work.api import NOT_FOUND, JetStream, JetStreamError

log = logging.getLogger(__name__)

_NANO: Final = 1_000_000_000


async def declare(api: JetStream, queue: Queue) -> None:
    """Make what is missing. Raises JetStreamError, Unavailable, DependencyDown."""
    for config in stream_configs(queue):
        await _stream(api, config)
    consumer = consumer_config(queue)
    request = {"stream_name": queue.stream, "config": consumer}
    await api.ask(f"CONSUMER.CREATE.{queue.stream}.{consumer['name']}", request)


def stream_configs(queue: Queue) -> list[dict[str, Any]]:
    """JetStream's configuration of each stream."""
    jobs = {
        **_base(queue.stream, queue.subject, queue.max_bytes, queue.max_age),
        "description": queue.summary,
        "retention": "workqueue",
        "discard": "new",
        "duplicate_window": _nano(min(queue.duplicate_window, queue.max_age)),
    }
    made = [jobs]
    if queue.max_parts_bytes:
        parts = _base(queue.parts_stream, s.work_parts(queue.name), queue.max_parts_bytes, queue.max_age)
        # one message a subject: a part that is sent again replaces itself
        made.append({**parts, "discard": "new", "allow_direct": True, "max_msgs_per_subject": 1})
    dead = _base(queue.dead_stream, queue.dead_subject, queue.max_dead_bytes, queue.max_dead_age)
    made.append({**dead, "discard": "old"})
    return made


def consumer_config(queue: Queue) -> dict[str, Any]:
    """JetStream's configuration of the consumer that all workers share. It never gives a job up by itself, since a
    job it gave up would stay in the stream unseen: workers count and put aside (:mod:`caravan_bus.work.consumer`)."""
    return {
        "name": queue.worker,
        "durable_name": queue.worker,
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "ack_wait": _nano(queue.ack_wait),
        "max_deliver": -1,
        "max_ack_pending": queue.max_under_way,
        "max_waiting": 512,
        "replay_policy": "instant",
    }


def _base(name: str, subject: str, max_bytes: int, max_age: float) -> dict[str, Any]:
    return {
        "name": name,
        "subjects": [subject],
        "storage": "file",
        "retention": "limits",
        "max_bytes": max_bytes,
        "max_age": _nano(max_age),
        "max_msgs": -1,
        "max_consumers": -1,
        "num_replicas": 1,
    }


async def _stream(api: JetStream, config: dict[str, Any]) -> None:
    name = config["name"]
    try:
        found = (await api.ask(f"STREAM.INFO.{name}"))["config"]
    except JetStreamError as error:
        if error.reason != NOT_FOUND:
            raise
        await api.ask(f"STREAM.CREATE.{name}", config)
        log.info("made the stream %s", name)
        return
    kept = {"num_replicas": found.get("num_replicas", 1)}  # whoever runs a cluster may have raised it
    wanted = {**config, **kept}
    if any(found.get(key) != value for key, value in wanted.items()):
        await api.ask(f"STREAM.UPDATE.{name}", {**found, **wanted})
        log.info("changed the stream %s", name)


def _nano(seconds: float) -> int:
    return int(seconds * _NANO)
