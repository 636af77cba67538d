"""Both clients, over real sockets: what they connect to, where redirects lead them, and how much they read."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import httpx2
import pytest
from aiohttp import web
from caravan_bus.outbound import Guard
from caravan_bus.outbound.aiohttp_client import read, reason, session
from caravan_bus.outbound.httpx_transport import GuardedTransport, TooLong
from caravan_contracts.errors import InvalidRequest, UpstreamFailed

from tests.outbound.servers import Names, serving


class Site:
    """Tells whom it was asked as, leads elsewhere, and says a lot."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(request.headers["Host"])
        if request.path == "/to":
            raise web.HTTPFound(request.query_string)
        if request.path == "/long":
            response = web.StreamResponse()
            await response.prepare(request)
            for _ in range(64):
                await response.write(b"x" * 65536)
            return response
        if request.path == "/packed":
            response = web.Response(body=b"x" * 1_000_000)
            response.enable_compression(web.ContentCoding.gzip)
            response.headers["Content-Encoding"] = "gzip"
            return response
        return web.Response(text="hello")


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
async def port(site: Site) -> AsyncIterator[int]:
    async with serving(site) as made:  # type: ignore[arg-type]
        yield made


async def test_aiohttp_connects_to_what_was_judged(port: int, site: Site) -> None:
    names = Names(a_example=[["127.0.0.1"]])
    guard = Guard([f"a.example:{port}"], names)
    async with session(guard, 5) as client, client.get(f"http://a.example:{port}/") as response:
        assert await read(response, 100) == b"hello"
    assert site.asked == [f"a.example:{port}"]


async def test_aiohttp_does_not_fall_for_a_name_that_changes(port: int, site: Site) -> None:
    """The second answer would be the inside; each connection is judged by the answer it uses."""
    names = Names(a_example=[["93.184.215.14"], ["127.0.0.1"]])
    guard = Guard(lookup=names)
    assert (await guard.resolve(f"http://a.example:{port}/")).ip == "93.184.215.14"
    async with session(guard, 5) as client:
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await client.get(f"http://a.example:{port}/")
    assert isinstance(reason(caught.value), InvalidRequest)
    assert site.asked == []


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "localhost"])
async def test_aiohttp_refuses_an_address_that_is_written_out(port: int, site: Site, host: str) -> None:
    async with session(Guard(), 5) as client:
        with pytest.raises((InvalidRequest, aiohttp.ClientError)) as caught:
            await client.get(f"http://{host}:{port}/")
    assert reason(caught.value) is not None
    assert site.asked == []


async def test_aiohttp_judges_every_hop(port: int, site: Site) -> None:
    guard = Guard([f"a.example:{port}"], Names(a_example=[["127.0.0.1"]], b_example=[["127.0.0.1"]]))
    async with session(guard, 5) as client:
        for target in (f"http://127.0.0.1:{port}/", f"http://b.example:{port}/", "ftp://a.example/"):
            with pytest.raises((InvalidRequest, aiohttp.ClientError)):
                await client.get(f"http://a.example:{port}/to?{target}")
        async with client.get(f"http://a.example:{port}/to?/there") as response:
            assert await response.text() == "hello"
    assert set(site.asked) == {f"a.example:{port}"} and len(site.asked) == 5


@pytest.mark.parametrize("path", ["long", "packed"])
async def test_aiohttp_reads_no_more_than_it_may(port: int, path: str) -> None:
    async with session(Guard(["127.0.0.1"]), 5) as client, client.get(f"http://127.0.0.1:{port}/{path}") as response:
        with pytest.raises(UpstreamFailed, match="longer than 100000 bytes"):
            await read(response, 100_000)


async def test_no_proxy_of_the_environment_is_used(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    guard = Guard(["127.0.0.1"])
    async with session(guard, 5) as client, client.get(f"http://127.0.0.1:{port}/") as response:
        assert await response.text() == "hello"
    async with httpx2.AsyncClient(transport=GuardedTransport(guard, 100), trust_env=False) as other:
        assert (await other.get(f"http://127.0.0.1:{port}/")).text == "hello"


async def test_httpx_asks_for_a_name_once_and_stays_there(port: int, site: Site) -> None:
    names = Names(a_example=[["127.0.0.1"], ["93.184.215.14"]])
    transport = GuardedTransport(Guard([f"a.example:{port}"], names), 1000)
    await transport.pin(f"http://a.example:{port}/")
    async with httpx2.AsyncClient(transport=transport, trust_env=False) as client:
        for _ in range(3):
            answer = await client.get(f"http://a.example:{port}/", headers={"Connection": "close"})
            assert answer.text == "hello"
    assert names.asked == ["a.example"] and set(site.asked) == {f"a.example:{port}"}


async def test_httpx_goes_to_the_next_address_of_a_server(port: int) -> None:
    guard = Guard([f"a.example:{port}"], Names(a_example=[["::1", "127.0.0.1"]]))
    async with httpx2.AsyncClient(transport=GuardedTransport(guard, 1000), trust_env=False) as client:
        assert (await client.post(f"http://a.example:{port}/", content=b"x")).text == "hello"


async def test_httpx_judges_every_hop(port: int, site: Site) -> None:
    guard = Guard([f"a.example:{port}"], Names(a_example=[["127.0.0.1"]]))
    async with httpx2.AsyncClient(
        transport=GuardedTransport(guard, 1000), trust_env=False, follow_redirects=True
    ) as client:
        with pytest.raises(InvalidRequest):
            await client.get(f"http://a.example:{port}/to?http://127.0.0.1:{port}/")
    assert site.asked == [f"a.example:{port}"]


async def test_httpx_reads_no_more_than_it_may(port: int) -> None:
    transport = GuardedTransport(Guard(["127.0.0.1"]), 100_000)
    async with httpx2.AsyncClient(transport=transport, trust_env=False) as client:
        with pytest.raises(TooLong):
            await client.get(f"http://127.0.0.1:{port}/long")
        assert transport.too_long
        with pytest.raises(httpx2.RemoteProtocolError, match="compressed"):
            await client.get(f"http://127.0.0.1:{port}/packed")
