"""Servers that behave like each search engine's API, in front of the same few pages."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import orjson
from aiohttp import web

KEY = "key-that-nobody-may-see"


@dataclass(frozen=True)
class Page:
    title: str
    url: str
    text: str
    published: str = ""


PAGES = [
    Page("Camels & caravans", "https://desert.example/camels", "A caravan of forty camels. " * 200, "2026-03-01"),
    Page("Routes", "https://maps.desert.example/routes?from=here", "The salt route."),
    Page("Shop", "https://shop.example/", "Buy camels."),
    Page("Old news", "http://news.example/old", "Nothing new.", "1999-12-31"),
    *(Page(f"More {n}", f"https://more.example/{n}", f"Text {n}") for n in range(20)),
]


@dataclass
class Asked:
    method: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Engine:
    """An engine with the `api` of a name of the settings."""

    api: str
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    before: list[web.Response] = field(default_factory=list)
    """Answered first, one for each request."""
    pages: list[Page] = field(default_factory=lambda: list(PAGES))
    raw: bytes | None = None
    hangs: bool = False

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        raw = await request.read()
        body = orjson.loads(raw) if raw else None
        asked = Asked(request.method, dict(request.query), dict(request.headers), body)
        self.asked.append(asked)
        if self.hangs:
            await asyncio.Event().wait()
        if self.before:
            return self.before.pop(0)
        if self.raw is not None:
            return web.Response(body=self.raw, content_type="application/json")
        return getattr(self, f"_{self.api}")(asked)  # type: ignore[no-any-return]

    def _brave(self, asked: Asked) -> web.Response:
        if asked.headers.get("X-Subscription-Token") != KEY:
            return web.json_response({"type": "ErrorResponse"}, status=422)
        count = int(asked.query["count"])
        assert asked.method == "GET" and 1 <= count <= 20
        found = [
            {
                "type": "search_result",
                "title": marked(page.title),
                "url": page.url,
                "description": marked(page.text),
                "page_age": page.published or None,
            }
            for page in self._sites(asked.query["q"])[:count]
        ]
        return web.json_response({"type": "search", **({"web": {"results": found}} if found else {})})

    def _tavily(self, asked: Asked) -> web.Response:
        if asked.headers.get("Authorization") != f"Bearer {KEY}":
            return web.json_response({"detail": {"error": "Unauthorized: missing or invalid API key."}}, status=401)
        assert asked.method == "POST" and asked.body["search_depth"] in ("basic", "advanced")
        pages = only(self.pages, asked.body.get("include_domains"), asked.body.get("exclude_domains"))
        found = [
            {"title": page.title, "url": page.url, "content": page.text, "score": 0.9, "raw_content": None}
            | ({"published_date": page.published} if page.published else {})
            for page in pages[: asked.body["max_results"]]
        ]
        return web.json_response({"query": asked.body["query"], "answer": None, "images": [], "results": found})

    def _exa(self, asked: Asked) -> web.Response:
        if asked.headers.get("x-api-key") != KEY:
            return web.json_response({"error": "Invalid API key"}, status=401)
        assert asked.method == "POST"
        most = asked.body["contents"]["text"]["maxCharacters"]
        pages = only(self.pages, asked.body.get("includeDomains"), asked.body.get("excludeDomains"))
        found = [
            {"id": page.url, "title": page.title, "url": page.url, "text": page.text[:most]}
            | {"publishedDate": page.published or None, "author": None}
            for page in pages[: asked.body["numResults"]]
        ]
        return web.json_response({"requestId": "r", "resolvedSearchType": "neural", "results": found})

    def _bing(self, asked: Asked) -> web.Response:
        if asked.headers.get("Ocp-Apim-Subscription-Key") != KEY:
            return web.json_response({"error": {"code": "401"}}, status=401)
        assert asked.method == "GET"
        found = [
            {"name": page.title, "url": page.url, "snippet": page.text}
            | ({"datePublished": page.published} if page.published else {})
            for page in self._sites(asked.query["q"])[: int(asked.query["count"])]
        ]
        return web.json_response({"_type": "SearchResponse", **({"webPages": {"value": found}} if found else {})})

    def _searxng(self, asked: Asked) -> web.Response:
        if asked.query.get("format") != "json":
            return web.Response(status=403)
        found = [
            {"title": page.title, "url": page.url, "content": page.text, "publishedDate": page.published or None}
            for page in self._sites(asked.query["q"])[:20]
        ]
        return web.json_response({"query": asked.query["q"], "number_of_results": 0, "results": found})

    def _custom(self, asked: Asked) -> web.Response:
        if asked.headers.get("Authorization") != f"Bearer {KEY}":
            return web.json_response({}, status=401)
        pages = only(self.pages, asked.body.get("allowed_domains"), asked.body.get("blocked_domains"))
        found = [
            {"title": page.title, "url": page.url, "text": page.text, "published": page.published}
            for page in pages[: asked.body["max_results"]]
        ]
        return web.json_response({"results": found})

    def _sites(self, query: str) -> list[Page]:
        """Of an engine that understands `site:` operators."""
        words = query.replace("(", " ").replace(")", " ").split()
        wanted = [word[5:] for word in words if word.startswith("site:")]
        unwanted = [word[6:] for word in words if word.startswith("-site:")]
        return only(self.pages, wanted, unwanted)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Engine]:
        runner = web.ServerRunner(web.Server(self.answer), shutdown_timeout=0.1)  # type: ignore[arg-type]
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/search"
        try:
            yield self
        finally:
            await runner.cleanup()


@contextmanager
def serving(engine: Engine) -> Iterator[Engine]:
    """The same in a thread, for tests that have no loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def done(work: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result(10)

    opened = engine.open()
    done(opened.__aenter__())
    try:
        yield engine
    finally:
        done(opened.__aexit__(None, None, None))
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def marked(text: str) -> str:
    """As engines that answer in HTML write it."""
    return re.sub(r"(?i)\b(camels?)\b", r"<strong>\1</strong>", text.replace("&", "&amp;"))


def only(pages: list[Page], wanted: list[str] | None, unwanted: list[str] | None) -> list[Page]:
    def below(page: Page, domains: list[str]) -> bool:
        host = urlsplit(page.url).hostname or ""
        return any(host == domain or host.endswith(f".{domain}") for domain in domains)

    return [page for page in pages if (not wanted or below(page, wanted)) and not (unwanted and below(page, unwanted))]
