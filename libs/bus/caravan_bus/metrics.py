"""Prometheus metrics of every service, in one place: the names are part of what operators rely on.

Labels are bounded: routes, models and providers that the registry knows, error codes; never tenants, keys or ids.
"""

from __future__ import annotations

from functools import lru_cache

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from caravan_bus import tally

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

HTTP_REQUESTS = tally.Counter(
    "caravan_http_requests_total",
    "HTTP requests by outcome",
    ("route", "method", "status"),
)
HTTP_SECONDS = tally.Histogram(
    "caravan_http_request_seconds",
    "HTTP requests, to their last byte",
    ("route",),
    buckets=_SECONDS,
)
FIRST_TOKEN = tally.Histogram(
    "caravan_time_to_first_token_seconds",
    "Request in to first byte out",
    ("model", "provider"),
    buckets=_SECONDS,
)
TOKENS = tally.Counter(
    "caravan_tokens_total",
    "Tokens as the provider counted them",
    ("direction", "model", "provider"),
)
CACHE = Counter(
    "caravan_cache_total",
    "Requests that may use the response cache: hit, miss, bypass; lost: an answer that was not kept",
    ("outcome",),
)
IDEMPOTENT = Counter(
    "caravan_idempotent_requests_total", "Requests with an Idempotency-Key: run, or attached to a run", ("outcome",)
)
ERRORS = Counter("caravan_errors_total", "Errors sent to callers", ("code",))

QUEUE_WAIT = Histogram(
    "caravan_queue_wait_seconds",
    "Waiting for a free slot",
    ("provider",),
    buckets=_SECONDS,
)
QUEUE_DEPTH = Gauge("caravan_queue_depth", "Requests waiting for a free slot", ("provider",))
QUEUE_POSITION = Histogram(
    "caravan_queue_position",
    "Place in line at which a request began to wait",
    ("provider",),
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
)
QUEUE_REFUSED = Counter(
    "caravan_queue_refused_total",
    "Requests that got no slot: limit, tenant_limit, bytes and too_late when they came (the last one later, too);"
    " displaced, deadline, timeout, no_worker and left (the client) after a wait",
    ("provider", "reason"),
)
RETRIES = Counter("caravan_reroutes_total", "Requests sent again because their worker was lost")
ATTEMPTS = Counter(
    "caravan_route_attempts_total",
    "Times a target of a route was asked: ok, or how it failed",
    ("route", "target", "outcome"),
)
TARGET_RETRIES = Counter(
    "caravan_target_retries_total",
    'Tries again at the same target, by what failed; no route is ""',
    ("route", "reason"),
)
FAILOVERS = Counter(
    "caravan_failovers_total",
    "Requests that went on to the next target, by what failed",
    ("route", "reason"),
)
CONTINUATIONS = Counter(
    "caravan_stream_continuations_total",
    "Streams that broke after their first byte: by prefill or replay, finished already, or none (an error)",
    ("route", "how"),
)
RETRY_BUDGET_SPENT = Counter(
    "caravan_retry_budget_spent_total", "Tries again that the budget of their model did not allow", ("route",)
)
TARGET_OPEN = Gauge("caravan_target_open", "1 while a target is left alone because it failed too often", ("target",))
MALFORMED_EVENTS = Counter(
    "caravan_upstream_malformed_events_total", "Events of upstreams that were no JSON, and were left out"
)
REQUESTS_OPEN = Gauge(
    "caravan_requests_open", "Requests under way in this process: over HTTP at a gateway, of bus users at a worker"
)
STREAMS_OPEN = Gauge("caravan_streams_open", "Streams under way in this process")
RESENDS = Gauge("caravan_stream_resends_total", "Frames this process sent again")
GAPS = Gauge("caravan_stream_gaps_total", "Gaps this process noticed and had filled")

SLOTS = Gauge("caravan_slots", "Slots of this worker", ("provider",))
SLOTS_USED = Gauge("caravan_slots_used", "Slots of this worker in use", ("provider",))
WORKER_REQUESTS = tally.Counter(
    "caravan_worker_requests_total",
    "Requests this worker served",
    ("provider", "verb", "outcome"),
)
REGISTRY_REVISION = Gauge("caravan_registry_revision", "Revision of the registry as this process knows it")

SHIELD_SECONDS = Histogram("caravan_shield_seconds", "One verdict of a shield", ("shield",), buckets=_SECONDS)
SHIELD_VERDICTS = Counter(
    "caravan_shield_verdicts_total",
    "Verdicts of shields: flagged, passed, or error (none was given)",
    ("shield", "outcome"),
)
SHIELD_BUSY = Gauge(
    "caravan_shield_busy", "Texts that a shield of this process looks at, or that wait for it", ("shield",)
)

GUARDRAILS = Counter(
    "caravan_guardrails_total",
    "What guardrails did: blocked, masked, observed (would have), silent (no verdict in time), lost (nobody looked)",
    ("guardrail", "outcome"),
)
GUARDRAIL_SECONDS = Histogram(
    "caravan_guardrail_check_seconds", "One check, as its enforcer waits for it", ("stage",), buckets=_SECONDS
)
GUARDRAIL_HELD = Histogram(
    "caravan_guardrail_held_seconds",
    "What was ready and waited for a verdict: a first byte (input), a part of a stream (stream), a whole answer",
    ("what",),
    buckets=_SECONDS,
)

WORK_PUBLISHED = Counter(
    "caravan_work_published_total",
    "Jobs this process published: kept (confirmed), retried (once more for each try), lost",
    ("queue", "outcome"),
)
RUNS_HELD = Gauge("caravan_runs_held", "Responses with a journal that this process makes now")
RUNS_TAKEN = Counter("caravan_runs_taken_total", "Responses that this process took over from another")
WORK_UNCONFIRMED = Gauge(
    "caravan_work_unconfirmed", "Jobs of this process that the queue has not confirmed", ("queue",)
)
WORK_JOBS = Counter(
    "caravan_work_jobs_total",
    "Jobs this worker had: done, waited (for a dependency), delayed (given back), retried, buried (given up)",
    ("queue", "outcome"),
)
WORK_WAITING = Gauge("caravan_work_waiting", "Jobs in the queue that no worker has", ("queue",))
WORK_UNDER_WAY = Gauge("caravan_work_under_way", "Jobs that a worker has", ("queue",))


def _remember_children() -> None:
    """`labels` checks and looks up under a lock each time: what it found is found again."""
    for metric in tuple(globals().values()):
        if isinstance(metric, MetricWrapperBase):
            metric.labels = lru_cache(maxsize=1024)(metric.labels)  # type: ignore[method-assign]


_remember_children()
