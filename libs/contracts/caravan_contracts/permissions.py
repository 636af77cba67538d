"""NATS allow-lists, derived from the table of channels: a bus user may publish and subscribe to this and no more."""

from __future__ import annotations

from dataclasses import dataclass

from caravan_contracts import subjects as s
from caravan_contracts import work
from caravan_contracts.channel import Channel, Pattern
from caravan_contracts.channels import CHANNELS
from caravan_contracts.users import OPERATOR, RECORDER, USERS

SERVICES: tuple[str, ...] = USERS
"""Bus users that exist in every deployment. A foreign user may not have one of these names."""
DISCOVERY = ("$SRV.PING", "$SRV.INFO", "$SRV.STATS")

_SAID = tuple(channel for channel in CHANNELS if channel.pattern is not Pattern.WORK)
"""Without the work queues: JetStream hears those, and their workers pull (:func:`work.publish_subjects`)."""


@dataclass(frozen=True, slots=True)
class Permissions:
    """Subjects (with wildcards) one NATS user may publish to and subscribe to."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def for_service(name: str) -> Permissions:
    """Allow-lists of one of our own bus users; raises KeyError for a name that is none."""
    if name not in USERS:
        raise KeyError(name)
    publish = work.publish_subjects(name)
    subscribe = {f"{s.INBOX}.{name}.>"}
    for channel in _SAID:
        if name in channel.publishers:
            publish.add(channel.wildcard)
        if name in channel.observers:
            subscribe.update(_overheard(channel))
        if name in channel.subscribers:
            subscribe.add(channel.wildcard)
            if channel.pattern is not Pattern.FACT and channel.pattern is not Pattern.CONTROL:
                publish.add(f"{s.INBOX}.>")  # answers; `allow_responses` would forget them at a reconnect
    for subject in DISCOVERY:
        if name == OPERATOR:
            publish.update((subject, f"{subject}.>"))
            continue
        subscribe.update((subject, f"{subject}.>"))
        if name == RECORDER:  # it answers those who may ask for discovery, and can write into no other inbox
            publish.update((DISCOVERY[0], f"{s.INBOX}.{OPERATOR}.>", f"{s.INBOX}.{RECORDER}.>"))
        else:
            publish.add(f"{s.INBOX}.>")
    return Permissions(tuple(sorted(publish)), tuple(sorted(subscribe)))


def _overheard(channel: Channel) -> set[str]:
    """What an observer of `channel` listens to: the requests, and every inbox where their answers may come."""
    return {channel.wildcard, *(f"{s.INBOX}.{publisher}.>" for publisher in channel.publishers)}


def for_foreign(tenant: str, user: str) -> Permissions:
    """Allow-lists of a foreign service: the open verbs and the control of its streams under its own name, and its own
    inboxes."""
    if user in USERS:
        raise ValueError(f"{user!r} is the name of a service; choose another")
    publish = tuple(
        sorted(
            ".".join(
                {"{tenant}": tenant, "{user}": user}.get(part, "*" if part.startswith("{") else part)
                for part in channel.address.split(".")
            )
            for channel in CHANNELS
            if channel.foreign
        )
    )
    s.token(tenant)
    return Permissions(publish=publish, subscribe=(f"{s.INBOX}.{s.token(user)}.>",))
