"""What endpoints are told, and the jobs that carry it.

Source: OpenAI's API reference, "Webhook events"; `openai.types.webhooks`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson
from caravan_bus.work.queue import Job, JobRefused

from caravan_agents.webhooks.endpoints import Endpoint

Ended = Literal["completed", "failed", "cancelled", "incomplete"]
_DIGITS: Final = 48


@dataclass(frozen=True, slots=True)
class Told:
    """A job, read."""

    endpoint: str
    """Its id."""
    id: str
    """Of the event: `webhook-id`."""
    created_at: int
    body: bytes
    """What is posted, the same with every try."""


def event(tenant: str, response_id: str, status: Ended, at: int) -> dict[str, Any]:
    """OpenAI's event object. The id follows from what happened: whoever tells it again tells the same event. `at` is
    in Unix seconds."""
    kind = f"response.{status}"
    digest = hashlib.sha256(f"{tenant}\0{response_id}\0{kind}".encode()).hexdigest()[:_DIGITS]
    return {
        "id": f"evt_{digest}",
        "object": "event",
        "created_at": at,
        "type": kind,
        "data": {"id": response_id},
    }


def job(endpoint: Endpoint, event: dict[str, Any]) -> Job:
    """What tells `endpoint` of it. Its secret is not in it."""
    return Job(f"{event['id']}-{endpoint.id}", orjson.dumps({"endpoint": endpoint.id, "event": event}))


def read(job: Job) -> Told:
    """Raises JobRefused for what :func:`job` has not made."""
    try:
        data = orjson.loads(job.data)
        event = data["event"]
        return Told(str(data["endpoint"]), str(event["id"]), int(event["created_at"]), orjson.dumps(event))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise JobRefused(f"it is no event for a webhook: {error!r}") from error
