"""An engine that fails, hangs or says too much."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from caravan_agents.retry_after import retry_after
from caravan_agents.tools.search.client import SearchClient, SearchFailed
from caravan_agents.tools.search.providers.custom import Custom
from caravan_agents.tools.search.question import Question

from tests.search.engines import KEY, Engine, Page


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    async with Engine("custom").open() as made:
        yield made


async def search(engine: Engine, seconds: float = 5.0) -> list[str]:
    client = SearchClient(Custom(engine.url, KEY), seconds)
    try:
        return [result.url for result in await client.search(Question("camels", results=2))]
    finally:
        await client.close()


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_passing_failure_is_tried_once_more(engine: Engine, status: int) -> None:
    engine.before = [web.Response(status=status)]
    assert len(await search(engine)) == 2
    assert len(engine.asked) == 2


async def test_it_is_tried_no_more_than_twice(engine: Engine) -> None:
    engine.before = [web.Response(status=503), web.Response(status=503)]
    with pytest.raises(SearchFailed, match="status 503"):
        await search(engine)
    assert len(engine.asked) == 2


async def test_the_wish_of_an_engine_is_kept(engine: Engine) -> None:
    engine.before = [web.Response(status=429, headers={"Retry-After": "1"})]
    began = time.monotonic()
    assert len(await search(engine)) == 2
    assert time.monotonic() - began >= 1.0


async def test_an_engine_that_wishes_for_too_long_is_not_waited_for(engine: Engine) -> None:
    engine.before = [web.Response(status=429, headers={"Retry-After": "30"})]
    began = time.monotonic()
    with pytest.raises(SearchFailed, match="status 429"):
        await search(engine)
    assert time.monotonic() - began < 3
    assert len(engine.asked) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_a_refusal_is_not_repeated(engine: Engine, status: int) -> None:
    engine.before = [web.Response(status=status)]
    with pytest.raises(SearchFailed, match=f"status {status}"):
        await search(engine)
    assert len(engine.asked) == 1


async def test_redirects_are_not_followed(engine: Engine) -> None:
    engine.before = [web.Response(status=302, headers={"Location": engine.url})]
    with pytest.raises(SearchFailed, match="redirects are not followed"):
        await search(engine)
    assert len(engine.asked) == 1


async def test_an_engine_that_hangs_is_left(engine: Engine) -> None:
    engine.hangs = True
    with pytest.raises(SearchFailed, match=r"did not answer within 0.3 s"):
        await search(engine, 0.3)


async def test_an_answer_that_is_too_large_is_not_read_to_its_end(engine: Engine) -> None:
    engine.raw = b'{"results":[' + b" " * (50 * 1024**2) + b"]}"
    with pytest.raises(SearchFailed, match="too large"):
        await search(engine)


async def test_an_engine_that_is_not_there() -> None:
    with pytest.raises(SearchFailed, match="could not be reached") as caught:
        await search(Engine("custom", "http://127.0.0.1:9/?key=secret"))
    assert "secret" not in str(caught.value)


async def test_results_that_nobody_could_open_are_left_out(engine: Engine) -> None:
    engine.pages = [
        Page("Script", "javascript:alert(1)", "x"),
        Page("", "https://untitled.example/", "x"),
        Page("Twice", "https://untitled.example/", "y"),
        Page("Long", "https://long.example/" + "x" * 5000, "x"),
        Page("File", "file:///etc/passwd", "x"),
    ]
    client = SearchClient(Custom(engine.url, KEY), 5.0)
    (result,) = await client.search(Question("camels"))
    assert (result.url, result.title, result.text) == (
        "https://untitled.example/",
        "https://untitled.example/",
        "x",
    )
    await client.close()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3", 3.0),
        (" 0 ", 0.0),
        ("Thu, 01 Jan 1970 00:00:30 GMT", 20.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("9" * 400, None),
    ],
)
def test_a_wish_is_a_number_or_a_date(text: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": text}, now=10.0) == seconds
