"""Signatures, as the specification and OpenAI's SDK have them."""

from __future__ import annotations

import time

import pytest
from caravan_agents.webhooks import events, signing
from openai import AsyncOpenAI, InvalidWebhookSignatureError, OpenAI
from openai.types.webhooks import (
    ResponseCancelledWebhookEvent,
    ResponseCompletedWebhookEvent,
    ResponseFailedWebhookEvent,
    ResponseIncompleteWebhookEvent,
)

from tests.webhooks.receiver import SECRET, Heard, endpoint_at


def test_a_signature_is_the_one_of_the_reference_implementation() -> None:
    made = signing.headers(
        signing.key_of("whsec_plJ3nmyCDGBKInavdOK15jsl"),
        "msg_loFOjxBNrRLzqYUf",
        1731705121,
        b'{"event_type":"ping","data":{"success":true}}',
    )
    assert made["webhook-signature"] == "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="


@pytest.mark.parametrize("secret", [SECRET, "a secret in words, long enough"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("completed", ResponseCompletedWebhookEvent),
        ("failed", ResponseFailedWebhookEvent),
        ("cancelled", ResponseCancelledWebhookEvent),
        ("incomplete", ResponseIncompleteWebhookEvent),
    ],
)
def test_the_sdk_takes_every_event(secret: str, status: events.Ended, kind: type) -> None:
    told = events.read(events_job(status))
    headers = signing.headers(signing.key_of(secret), told.id, int(time.time()), told.body)
    event = Heard("/", headers, told.body).verified(secret)
    assert isinstance(event, kind)
    assert (event.object, event.data.id, event.created_at) == ("event", "resp_1", 1700000000)
    AsyncOpenAI(api_key="-").webhooks.verify_signature(told.body, headers, secret=secret)


def events_job(status: events.Ended) -> events.Job:
    return events.job(endpoint_at("http://one/"), events.event("acme", "resp_1", status, 1700000000))


def test_the_sdk_refuses_a_body_that_was_changed_and_a_time_that_is_past() -> None:
    key, now = signing.key_of(SECRET), int(time.time())
    check = OpenAI(api_key="-").webhooks.verify_signature
    with pytest.raises(InvalidWebhookSignatureError, match="does not match"):
        check(b"{ }", signing.headers(key, "evt_1", now, b"{}"), secret=SECRET)
    with pytest.raises(InvalidWebhookSignatureError, match="too old"):
        check(b"{}", signing.headers(key, "evt_1", now - 600, b"{}"), secret=SECRET)


@pytest.mark.parametrize("secret", ["whsec_###", "whsec_c2hvcnQ=", "short"])
def test_a_secret_that_is_none_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(ValueError, match=r"secret") as caught:
        signing.key_of(secret)
    assert secret not in str(caught.value)


def test_the_same_end_is_the_same_event_and_another_is_another() -> None:
    one = events.event("acme", "resp_1", "completed", 1)["id"]
    assert one == events.event("acme", "resp_1", "completed", 2)["id"]
    others = {
        events.event(tenant, response, status, 1)["id"]
        for tenant, response, status in (
            ("acme", "resp_1", "failed"),
            ("acme", "resp_2", "completed"),
            ("acmer", "esp_1", "completed"),
        )
    }
    assert len(others) == 3 and one not in others
