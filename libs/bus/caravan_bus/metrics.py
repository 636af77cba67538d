"""Prometheus metrics of every service, in one place: the names are part of what operators rely on.

Labels are bounded: routes, models and providers that the registry knows, error codes; never tenants, keys or ids.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60,
    120,
)

HTTP_REQUESTS = Counter(
    "caravan_http_requests_total",
    "HTTP requests by outcome",
    ("route", "method", "status"),
)
HTTP_SECONDS = Histogram(
    "caravan_http_request_seconds",
    "HTTP requests, to their last byte",
    ("route",),
    buckets=_SECONDS,
)
FIRST_TOKEN = Histogram(
    "caravan_time_to_first_token_seconds",
    "Request in to first byte out",
    ("model", "provider"),
    buckets=_SECONDS,
)
TOKENS = Counter(
    "caravan_tokens_total",
    "Tokens as the provider counted them",
    ("direction", "model", "provider"),
)
ERRORS = Counter("caravan_errors_total", "Errors sent to callers", ("code",))

QUEUE_WAIT = Histogram(
    "caravan_queue_wait_seconds",
    "Waiting for a free slot",
    ("provider",),
    buckets=_SECONDS,
)
QUEUE_DEPTH = Gauge("caravan_queue_depth", "Requests waiting for a free slot", ("provider",))
RETRIES = Counter("caravan_reroutes_total", "Requests sent again because their worker was lost")
STREAMS_OPEN = Gauge("caravan_streams_open", "Streams under way in this process")
RESENDS = Gauge("caravan_stream_resends_total", "Frames this process sent again")
GAPS = Gauge("caravan_stream_gaps_total", "Gaps this process noticed and had filled")

SLOTS = Gauge("caravan_slots", "Slots of this worker", ("provider",))
SLOTS_USED = Gauge("caravan_slots_used", "Slots of this worker in use", ("provider",))
WORKER_REQUESTS = Counter(
    "caravan_worker_requests_total",
    "Requests this worker served",
    ("provider", "verb", "outcome"),
)
REGISTRY_REVISION = Gauge("caravan_registry_revision", "Revision of the registry as this process knows it")

WORK_PUBLISHED = Counter(
    "caravan_work_published_total",
    "Jobs this process published: kept (confirmed), retried (once more for each try), lost",
    ("queue", "outcome"),
)
WORK_UNCONFIRMED = Gauge(
    "caravan_work_unconfirmed", "Jobs of this process that the queue has not confirmed", ("queue",)
)
WORK_JOBS = Counter(
    "caravan_work_jobs_total",
    "Jobs this worker had: done, waited (for a dependency), retried, buried (given up)",
    ("queue", "outcome"),
)
WORK_WAITING = Gauge("caravan_work_waiting", "Jobs in the queue that no worker has", ("queue",))
WORK_UNDER_WAY = Gauge("caravan_work_under_way", "Jobs that a worker has", ("queue",))
