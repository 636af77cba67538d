"""Shields elsewhere, asked over real connections."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest
import pytest_asyncio
from aiohttp import web
from caravan_contracts.errors import CaravanError, DeadlineExceeded, InvalidRequest, UpstreamFailed
from caravan_contracts.safety import ShieldSpec
from caravan_safety.shields import kinds
from caravan_safety.shields.base import Opinion, Passage, Shield
from caravan_safety.shields.parts import Parts
from caravan_safety.shields.reaching import Reaching

from tests.safety.shields.contract import ShieldContract

KEY = b"0123456789abcdef"
SECRET = "whsec_" + base64.b64encode(KEY).decode()


class Elsewhere:
    """A moderation, a classifier and a webhook, on one port."""

    def __init__(self) -> None:
        self.requests: list[tuple[Any, dict[str, str], bytes]] = []
        self.url = ""
        self.most = 0
        """Questions that were under way at the same time."""
        self._now = 0

    async def start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/v1/moderations", self._moderate)
        app.router.add_post("/classify", self._classify)
        app.router.add_post("/hook", self._judge)
        app.router.add_post("/{what}", self._wrong)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def _read(self, request: web.Request) -> Any:
        body = await request.json()
        self.requests.append((body, dict(request.headers), await request.read()))
        return body

    async def _moderate(self, request: web.Request) -> web.Response:
        rows = (await self._read(request))["input"]
        scores = [0.75 if "bomb" in str(row) else 0.01 for row in rows]
        results = [
            {"flagged": score > 0.5, "categories": {"illicit": score > 0.5}, "category_scores": {"illicit": score}}
            for score in scores
        ]
        return web.json_response({"id": "modr-1", "model": "m", "results": results})

    async def _classify(self, request: web.Request) -> web.Response:
        self._now += 1
        self.most = max(self.most, self._now)
        for _ in range(20):
            await asyncio.sleep(0)  # let others come
        rows = (await self._read(request))["inputs"]
        self._now -= 1
        scores = [0.75 if "bomb" in row else 0.01 for row in rows]
        return web.json_response(
            [[{"label": "BENIGN", "score": 1 - score}, {"label": "INJECTION", "score": score}] for score in scores]
        )

    async def _judge(self, request: web.Request) -> web.Response:
        body = await self._read(request)
        found = [(at, text.find("bomb")) for at, text in enumerate(body["texts"]) if "bomb" in text]
        tail = next((size for size in (3, 2, 1) if body["texts"][-1].endswith("bomb"[:size])), 0)
        return web.json_response(
            {
                "flagged": bool(found),
                "categories": {"weapons": 1.0} if found else {},
                "findings": [{"text": at, "start": start, "end": start + 4, "label": "weapons"} for at, start in found],
                "settled": len(body["texts"][-1]) - tail,
                "message": "weapons" if found else "",
            }
        )

    async def _wrong(self, request: web.Request) -> web.Response:
        await self._read(request)
        wrong: dict[str, Any] = {
            "moved": web.Response(status=307, headers={"Location": "http://169.254.169.254/"}),
            "text": web.Response(text="hello"),
            "shape": web.json_response({"flagged": "perhaps"}),
            "outside": web.json_response(
                {"flagged": True, "findings": [{"text": 0, "start": 0, "end": 9_999, "label": "x"}]}
            ),
            "large": web.json_response({"x": "x" * 2_000_000}),
        }
        return wrong.get(request.match_info["what"], web.Response(status=500))  # type: ignore[no-any-return]


@pytest_asyncio.fixture
async def elsewhere() -> AsyncIterator[Elsewhere]:
    made = Elsewhere()
    runner = await made.start()
    yield made
    await runner.cleanup()


@pytest_asyncio.fixture
async def parts(elsewhere: Elsewhere) -> AsyncIterator[Parts]:
    reaching = Reaching("127.0.0.1")

    def resolved(params: dict[str, Any]) -> dict[str, Any]:
        return {
            name: value.replace("URL", elsewhere.url) if isinstance(value, str) else value
            for name, value in params.items()
        }

    yield Parts(reaching=reaching, secrets=resolved)
    await reaching.close()


class RemoteContract(ShieldContract):
    """Its address is known when the server is there: ``URL`` stands for it."""

    harmful = "how to build a bomb"

    @pytest.fixture
    def parts(self, parts: Parts) -> Parts:
        return parts


class TestOpenAIModeration(RemoteContract):
    type = "remote::openai-moderation"
    label = "illicit"
    params: ClassVar[dict[str, Any]] = {"base_url": "URL/v1", "api_key": "sk-1"}


class TestClassifier(RemoteContract):
    type = "remote::classifier"
    label = "INJECTION"
    params: ClassVar[dict[str, Any]] = {"url": "URL/classify", "api_key": "sk-1"}


class TestWebhook(RemoteContract):
    type = "remote::webhook"
    label = "weapons"
    params: ClassVar[dict[str, Any]] = {"url": "URL/hook", "secret": SECRET}


def made(parts: Parts, kind: str, **params: Any) -> Shield:
    return kinds.make(ShieldSpec(provider_type=kind, provider_shield_id="m", params=params), parts)


async def look(shield: Shield, *texts: str, seconds: float = 30, **more: Any) -> Opinion:
    return await shield.look(Passage(texts, until=time.monotonic() + seconds, **more))


async def test_openai_is_shown_images_and_the_key(elsewhere: Elsewhere, parts: Parts) -> None:
    shield = made(parts, "remote::openai-moderation", base_url="URL/v1/", api_key="sk-1")
    await look(shield, "x", images=["https://example.org/a.png"])
    [(body, headers, _)] = elsewhere.requests
    assert headers["Authorization"] == "Bearer sk-1"
    assert body["model"] == "m"
    assert [part["type"] for part in body["input"]] == ["text", "image_url"]


async def test_a_threshold_is_ours_where_it_is_given(parts: Parts) -> None:
    shield = made(parts, "remote::openai-moderation", base_url="URL/v1", threshold=0.9)
    assert not (await look(shield, "bomb")).flagged


async def test_a_long_text_is_classified_in_pieces_that_overlap(elsewhere: Elsewhere, parts: Parts) -> None:
    shield = made(parts, "remote::classifier", url="URL/classify", max_characters=64, batch=2)
    assert (await look(shield, "a" * 54 + " bomb " + "a" * 200)).flagged
    assert len(elsewhere.requests) == 3
    assert all(len(text) <= 64 for body, _, _ in elsewhere.requests for text in body["inputs"])


async def test_so_many_questions_are_asked_at_once(elsewhere: Elsewhere, parts: Parts) -> None:
    shield = made(parts, "remote::classifier", url="URL/classify", max_characters=64, batch=1)
    await look(shield, "a" * 3000)
    assert len(elsewhere.requests) > 40
    assert elsewhere.most <= 4
    with pytest.raises(InvalidRequest, match=r"params\.batch"):
        made(parts, "remote::classifier", url="URL/classify", batch=0)


async def test_a_webhook_can_tell_who_asks(elsewhere: Elsewhere, parts: Parts) -> None:
    await look(made(parts, "remote::webhook", url="URL/hook", secret=SECRET), "x")
    [(_, headers, body)] = elsewhere.requests
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("moved", "status 307"),
        ("nothing", "status 500"),
        ("text", "no JSON"),
        ("shape", "cannot be read"),
        ("outside", "outside of their text"),
        ("large", "longer than"),
    ],
)
async def test_an_answer_that_is_none_is_no_verdict(parts: Parts, path: str, says: str) -> None:
    with pytest.raises(CaravanError, match=says) as caught:
        await look(made(parts, "remote::webhook", url=f"URL/{path}", secret=SECRET), "x")
    assert isinstance(caught.value, UpstreamFailed)


async def test_an_address_that_only_we_can_reach_is_refused() -> None:
    reaching = Reaching()
    shield = made(Parts(reaching=reaching), "remote::webhook", url="http://169.254.169.254/latest", secret=SECRET)
    with pytest.raises(InvalidRequest):
        await look(shield, "x")
    await reaching.close()


async def test_a_service_that_is_too_slow_is_given_up(parts: Parts) -> None:
    with pytest.raises(DeadlineExceeded):
        await look(made(parts, "remote::webhook", url="URL/hook", secret=SECRET), "x", seconds=0)


@pytest.mark.parametrize("secret", ["short", "whsec_???"])
def test_a_secret_that_guards_nothing_is_refused(secret: str) -> None:
    with pytest.raises(InvalidRequest, match="secret"):
        made(Parts(reaching=Reaching()), "remote::webhook", url="https://example.org", secret=secret)
