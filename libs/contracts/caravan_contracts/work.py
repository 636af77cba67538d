"""Work queues: jobs that outlive whoever publishes them and whoever works on them.

A queue is a JetStream stream with one durable pull consumer. A job leaves it when its worker says that it is done;
a worker that dies leaves it to another. Declaring one is adding a row to :data:`QUEUES`: subjects, names, bounds and
the NATS allow-lists follow.

Delivery is at least once: a worker makes nothing of a job it has done already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from caravan_contracts import subjects as s

DAY: Final = 86_400.0
INLINE_BYTES: Final = 512 * 1024
"""A larger job travels in parts of this size, kept beside the queue until it is done: NATS takes at most 1 MiB."""

JOB_ID: Final = "Nats-Msg-Id"
"""By this header JetStream knows a job that it has already."""
PARTS: Final = "Caravan-Parts"
"""``<number of parts> <sha256 of the job, hex>`` of a job in parts; its own message is then empty."""
REASON: Final = "Caravan-Reason"
"""Of a dead job: why it was given up, on one line."""
DELIVERIES: Final = "Caravan-Deliveries"
"""Of a dead job: how often it was tried."""


@dataclass(frozen=True, slots=True)
class Queue:
    """One work queue. Sizes in bytes, times in seconds."""

    name: str
    worker: str
    """The service that works on it; it declares the queue as well."""
    publishers: tuple[str, ...]
    summary: str
    max_job: int = INLINE_BYTES
    max_bytes: int = 256 * 1024**2
    """Jobs that wait; one more is refused."""
    max_parts_bytes: int = 0
    """The same for the parts of large jobs; 0 = every job fits into one message."""
    max_age: float = 14 * DAY
    """A job that nobody has done by then is gone."""
    ack_wait: float = 10.0
    """How long a worker may be silent before its job is given to another; it says that it is still at it meanwhile."""
    max_deliver: int = 20
    """Tries before a job is put aside as dead."""
    duplicate_window: float = 120.0
    max_under_way: int = 1000
    """Jobs that workers have or gave back to be delivered later; while there are so many, no other is delivered."""
    max_dead_bytes: int = 64 * 1024**2
    max_dead_age: float = 30 * DAY

    @property
    def subject(self) -> str:
        """Where jobs are published."""
        return s.work(self.name)

    @property
    def stream(self) -> str:
        """JetStream's name of the queue."""
        return "CARAVAN_" + self.name.upper().replace("-", "_")

    @property
    def parts_stream(self) -> str:
        """Keeps the parts of large jobs."""
        return self.stream + "_PARTS"

    @property
    def dead_stream(self) -> str:
        """Keeps what was given up, for people to look at."""
        return self.stream + "_DEAD"

    @property
    def streams(self) -> tuple[str, ...]:
        """All of its streams."""
        parts = (self.parts_stream,) if self.max_parts_bytes else ()
        return (self.stream, *parts, self.dead_stream)

    @property
    def dead_subject(self) -> str:
        """Where dead jobs are published."""
        return s.dead(self.name)

    def part(self, job: str, number: int) -> str:
        """Where the `number`-th part of a job is published."""
        return s.work_part(self.name, job, number)


COMPLETIONS: Final = Queue(
    name="completions",
    worker="agents",
    publishers=("gateway",),
    summary="chat completions to be stored: the request, its answer, and who asked",
    max_job=64 * 1024**2,
    max_bytes=512 * 1024**2,
    max_parts_bytes=1024**3,
)

RESPONSES: Final = Queue(
    name="responses",
    worker="agents",
    publishers=("agents",),
    summary="responses to be made in the background: JSON ``[tenant, id]`` of a run that PostgreSQL has",
    max_bytes=64 * 1024**2,
    ack_wait=5.0,
    # how often a worker may die of a run is counted with the run: NATS itself may die, too
    max_deliver=10_000,
)

WEBHOOKS: Final = Queue(
    name="webhooks",
    worker="agents",
    publishers=("agents",),
    summary="events to be posted to endpoints, one job for each event and endpoint",
    max_job=16 * 1024,
    # a try that fails is a matter of the endpoint and of time; this bound is for jobs that kill their workers
    max_deliver=1000,
    # what is known within an hour is known: whoever says twice that a response has ended makes one event of it
    duplicate_window=3600.0,
    # an endpoint that is away for days must not keep the others' events
    max_under_way=1_000_000,
)

INGEST: Final = Queue(
    name="ingest",
    worker="vector",
    publishers=("vector",),
    summary="files to be read into vector stores: JSON ``[tenant, number]`` of a row that PostgreSQL has",
    max_bytes=256 * 1024**2,
    # how often a worker may die of a file is counted with the file: NATS and PostgreSQL may die, too
    max_deliver=10_000,
    # whoever attaches a million files waits for them; nobody's job is dropped for that
    max_under_way=1_000_000,
)

VERDICTS: Final = Queue(
    name="verdicts",
    worker="safety",
    publishers=("gateway", "inference", "agents", "vector", "safety"),
    summary="what shields said, or did not say, for the audit: JSON of VerdictRows",
    max_bytes=256 * 1024**2,
    # which nobody can do: PostgreSQL took a thousand others meanwhile
    max_deliver=100,
    max_under_way=10_000,
)

QUEUES: Final[tuple[Queue, ...]] = (COMPLETIONS, RESPONSES, WEBHOOKS, INGEST, VERDICTS)


def publish_subjects(user: str) -> set[str]:
    """What the bus user `user` publishes to for work queues: jobs, JetStream's API of its own streams, no more."""
    made: set[str] = set()
    for queue in QUEUES:
        if user in queue.publishers:
            made.add(queue.subject)
            if queue.max_parts_bytes:
                made.add(s.work_parts(queue.name))
        if user == queue.worker:
            made |= _work_subjects(queue)
    return made


def _work_subjects(queue: Queue) -> set[str]:
    api, consumer = s.JETSTREAM_API, f"{queue.stream}.{queue.worker}"
    made = {f"{api}.STREAM.{verb}.{stream}" for stream in queue.streams for verb in ("CREATE", "UPDATE", "INFO")}
    made |= {f"{api}.CONSUMER.{verb}.{consumer}" for verb in ("CREATE", "INFO", "MSG.NEXT")}
    made |= {f"{s.JETSTREAM_ACK}.{consumer}.>", queue.dead_subject}
    if queue.max_parts_bytes:
        made |= {f"{api}.DIRECT.GET.{queue.parts_stream}.>", f"{api}.STREAM.PURGE.{queue.parts_stream}"}
    return made
