"""``remote::webhook``: a service of yours that judges. What it is sent is signed as Standard Webhooks has it
(https://www.standardwebhooks.com), and it answers with a verdict."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from typing import Any, Final

import orjson
from caravan_bus.work.queue import new_job_id
from caravan_contracts.errors import InvalidRequest, UpstreamFailed
from caravan_contracts.safety import Finding, ShieldSpec
from pydantic import BaseModel, Field, ValidationError

from caravan_safety.shields.base import Opinion, Params, Passage, Shield, read_params
from caravan_safety.shields.parts import Parts
from caravan_safety.shields.reaching import Reaching

_PREFIX: Final = "whsec_"


class Settings(Params):
    """Of one shield."""

    url: str
    secret: str
    """A reference; its value as ``whsec_`` and base64, or any text of 16 bytes and more."""


class Answer(BaseModel):
    """What the service says."""

    flagged: bool
    categories: dict[str, float] = Field(default_factory=dict)
    findings: list[Finding] = Field(default_factory=list)
    settled: int | None = Field(default=None, ge=0)
    message: str = ""


class Webhook:
    """As the service can: places, settled, passages."""

    types = ("remote::webhook",)
    sees = True
    finds_places = True

    def __init__(self, url: str, key: bytes, reaching: Reaching) -> None:
        self._url = url
        self._key = key
        self._reaching = reaching

    @classmethod
    def make(cls, spec: ShieldSpec, parts: Parts) -> Shield:
        settings = read_params(Settings, parts.secrets(spec.params))
        return cls(settings.url, _key(settings.secret), parts.addresses)

    async def look(self, passage: Passage) -> Opinion:
        body = orjson.dumps(_asked(passage))
        name, now = f"chk_{new_job_id()}", str(int(time.time()))
        digest = hmac.new(self._key, b".".join((name.encode(), now.encode(), body)), hashlib.sha256).digest()
        headers = {
            "webhook-id": name,
            "webhook-timestamp": now,
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        }
        answer = await self._reaching.post(self._url, body, headers, passage)
        try:
            said = Answer.model_validate(answer)
        except ValidationError as error:
            raise UpstreamFailed(f"the webhook's answer cannot be read: {error.errors()[0]['msg']}") from error
        _check(said.findings, passage)
        settled = said.settled if said.settled is None else min(said.settled, len(passage.texts[-1]))
        return Opinion(said.flagged, said.categories, said.findings, settled, said.message)


def _asked(passage: Passage) -> dict[str, Any]:
    return {
        "texts": list(passage.texts),
        "stage": passage.stage.value,
        "before": [each.model_dump() for each in passage.before],
        "final": passage.final,
        "images": list(passage.images),
        "tenant": passage.principal.tenant,
        "request_id": passage.request_id,
    }


def _check(findings: list[Finding], passage: Passage) -> None:
    end = (0, 0)
    for each in findings:
        if not 0 <= each.text < len(passage.texts):
            raise UpstreamFailed("the webhook found something in a text that there is not")
        if (each.text, each.start) < end or not each.start < each.end <= len(passage.texts[each.text]):
            raise UpstreamFailed("the webhook's findings are out of order, overlap, or lie outside of their text")
        end = (each.text, each.end)


def _key(secret: str) -> bytes:
    if not secret.startswith(_PREFIX):
        key = secret.encode()
    else:
        try:
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error as error:
            raise InvalidRequest("params.secret is no base64 behind whsec_", param="params.secret") from error
    if len(key) < 16:
        raise InvalidRequest("params.secret is too short: it should have 16 bytes at least", param="params.secret")
    return key
