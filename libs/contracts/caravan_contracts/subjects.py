"""Every subject and inbox of the bus. Nobody else writes a subject by hand.

Shapes (all tokens lower-case ASCII, at most eight, user text never among them):

``caravan.v1.<service>.<verb>``                    request/reply, queue group = service
``caravan.v1.<service>.<verb>.<tenant>.<user>``    the same verb for a foreign bus user
``caravan.v1.<service>.at.<worker>.<verb>``        one worker, directly
``caravan.v1.ctl.<worker>.<stream>``               control of one stream
``caravan.v1.ctl.<worker>.<stream>.<tenant>.<user>``  the same for a foreign bus user
``caravan.v1.evt.<domain>.<fact>``                 facts
``caravan.v1.work.<queue>``                        jobs of a work queue
``caravan.v1.work.<queue>.<job>.<part>``           parts of a large job
``caravan.v1.dead.<queue>``                        jobs that were given up
``_INBOX.<user>.<instance>.<number>``              replies and frames
``_INBOX.<user>.<instance>.bundle``                frames of several streams
"""

from __future__ import annotations

import re
from functools import lru_cache

PREFIX = "caravan.v1"
INBOX = "_INBOX"
JETSTREAM_API = "$JS.API"
JETSTREAM_ACK = "$JS.ACK"
_BUNDLE = "bundle"
_PROBER = "-callers"
_NUMBER = re.compile(r"[0-9a-f]{1,16}\Z")
_TOKEN = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\Z")


def token(text: str) -> str:
    """Return `text` if it may stand between two dots of a subject; raise ValueError otherwise."""
    if not _TOKEN.match(text):
        raise ValueError(f"{text!r} is no subject token: use 1-63 of a-z 0-9 _ -, a letter or digit first")
    return text


def request(service: str, verb: str) -> str:
    """Where any worker of `service` answers `verb`; subscribers use the queue group `service`."""
    return f"{PREFIX}.{token(service)}.{token(verb)}"


def entry(service: str, verb: str, tenant: str, user: str) -> str:
    """Where the foreign bus user `user` asks for `verb`; its credentials allow it no other tail."""
    return f"{request(service, verb)}.{token(tenant)}.{token(user)}"


def entry_wildcard(service: str, verb: str) -> str:
    """What a worker subscribes to for every foreign user of `verb`."""
    return f"{request(service, verb)}.*.*"


def entry_identity(subject: str) -> tuple[str, str]:
    """``(tenant, user)`` of a subject made by :func:`entry`."""
    tenant, user = subject.rsplit(".", 2)[-2:]
    return tenant, user


@lru_cache(maxsize=4096)
def at_worker(service: str, worker: str, verb: str) -> str:
    """The private subject of one worker for one verb."""
    return f"{PREFIX}.{token(service)}.at.{token(worker)}.{token(verb)}"


def at_template(service: str, verb: str) -> str:
    """:func:`at_worker` with its parameter unfilled: what traces and documents name."""
    return f"{PREFIX}.{service}.at.{{worker}}.{verb}"


def control(worker: str, stream: str) -> str:
    """Credit, resend and cancel of one stream of `worker`; `stream` as in :func:`stream_of`."""
    return f"{PREFIX}.ctl.{worker}.{stream}"


def control_wildcard(worker: str) -> str:
    """What a worker subscribes to for the control of all its streams."""
    return f"{PREFIX}.ctl.{token(worker)}.*"


def foreign_control(worker: str, stream: str, tenant: str, user: str) -> str:
    """:func:`control` of a stream that the foreign bus user `user` asked for; it may publish there and a worker
    looks for the stream among that user's alone."""
    return f"{control(worker, stream)}.{token(tenant)}.{token(user)}"


def foreign_control_wildcard(worker: str) -> str:
    """What a worker subscribes to for the control of all streams of foreign users."""
    return f"{control_wildcard(worker)}.*.*"


def foreign_control_parts(subject: str) -> tuple[str, str, str]:
    """``(worker, stream, user)`` of a subject made by :func:`foreign_control`; three times "" when it is none."""
    parts = subject.split(".")
    return (parts[3], parts[4], parts[6]) if len(parts) == 7 and subject.startswith(f"{PREFIX}.ctl.") else ("", "", "")


def event(domain: str, fact: str) -> str:
    """A fact that everybody may hear."""
    return f"{PREFIX}.evt.{token(domain)}.{token(fact)}"


def work(queue: str) -> str:
    """Where jobs of a work queue are published."""
    return f"{PREFIX}.work.{token(queue)}"


def work_part(queue: str, job: str, number: int) -> str:
    """One part of a large job."""
    return f"{work(queue)}.{token(job)}.{number}"


def work_parts(queue: str, job: str = "*") -> str:
    """Every part of a job, or of every job."""
    return f"{work(queue)}.{job}.*"


def dead(queue: str) -> str:
    """Where jobs of a work queue go that nobody could do."""
    return f"{PREFIX}.dead.{token(queue)}"


def inbox_prefix(user: str, instance: str) -> str:
    """All replies to one process: ``_INBOX.<bus user>.<instance>``."""
    return f"{INBOX}.{token(user)}.{token(instance)}"


def stream_of(reply: str) -> str:
    """The stream id of a reply inbox: its last two tokens, ``<instance>-<number>``."""
    head, _, number = reply.rpartition(".")
    return f"{head.rpartition('.')[2]}-{number}"


def bundle_inbox(prefix: str) -> str:
    """Where bundles of frames arrive, for the receiver whose inbox prefix this is."""
    return f"{prefix}.{_BUNDLE}"


def stream_number(number: int) -> str:
    """The last token of the reply inbox of a receiver's `number`-th stream."""
    return format(number, "x")


def bundle_of(reply: str) -> tuple[str, int]:
    """``(bundle inbox, stream number)`` of a reply inbox; ("", 0) when its last token is no number."""
    prefix, _, number = reply.rpartition(".")
    if not _NUMBER.match(number):
        return "", 0
    return bundle_inbox(prefix), int(number, 16)


def caller_of(reply: str) -> tuple[str, str]:
    """``(bus user, instance)`` of a reply inbox made below :func:`inbox_prefix`; ("", "") when it is none."""
    parts = reply.split(".")
    return (parts[1], parts[2]) if len(parts) == 4 and parts[0] == INBOX else ("", "")


def prober_prefix(user: str, worker: str) -> str:
    """Where a worker hears that a caller is gone: what it says there below names the stream (:func:`stream_of`)."""
    return inbox_prefix(user, f"{worker}{_PROBER}")


def prober_of(reply: str) -> str:
    """The worker that sent a message with `reply` below its :func:`prober_prefix`; "" when none did."""
    instance = caller_of(reply)[1]
    return instance.removesuffix(_PROBER) if instance.endswith(_PROBER) else ""


def owner_of(reply: str) -> str:
    """The bus user that may read `reply`, or "" when it is no inbox of ours."""
    parts = reply.split(".")
    return parts[1] if len(parts) >= 3 and parts[0] == INBOX else ""


PRESENCE = event("worker", "presence")
PRESENCE_WANTED = event("worker", "presence-wanted")
REGISTRY_CHANGED = event("registry", "changed")
REGISTRY_REVISION = event("registry", "revision")
RUN_CANCELLED = event("agents", "cancelled")
"""A run in the background is to end: JSON ``[tenant, id]``."""
FILE_REMOVED = event("files", "removed")
SAFETY_VERDICT = event("safety", "verdict")
ROUTING_TARGET = event("routing", "target")
ROUTING_LOAD = event("routing", "load")
ROUTING_LINE = event("routing", "line")
