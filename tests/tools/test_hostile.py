"""Servers that lie, hang, break off and never end: a list fails clearly, a call is an outcome, nothing crashes."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from aiohttp import web
from caravan_agents.responses.turn import ToolCall
from caravan_agents.tools.base import Outcome
from caravan_agents.tools.mcp import McpOptions, McpService
from caravan_bus.outbound import Guard
from caravan_contracts.errors import CaravanError, FailedDependency, InvalidRequest

from tests.outbound.servers import serving
from tests.tools.emitting import Told, made, named, opened
from tests.tools.scripted import OldScripted, Scripted, Step, events, one, refused, result, running

MB = 1024 * 1024


async def listed(script: Scripted, **options: Any) -> tuple[list[str], Told]:
    """The names of the tools that can be offered; the kit is left."""
    told = Told()
    async with running(script) as url:
        mcp = {"type": "mcp", "server_label": "it", "server_url": url}
        kit = McpService(Guard(["127.0.0.1"]), options=McpOptions(**options)).kit([mcp], "acme")
        assert kit is not None
        try:
            tools = await kit.open(told, [])
        finally:
            await kit.close()
    told.end()
    return [tool.offered.name for tool in tools], told


async def list_failure(step: Step, **options: Any) -> str:
    with pytest.raises(FailedDependency) as caught:
        await listed(Scripted(list=step), **options)
    return caught.value.message.removeprefix("the tools of the MCP server 'it' cannot be listed: ")


async def called(step: Step, times: int = 1, **options: Any) -> tuple[list[Outcome], Scripted]:
    """Calls of one tool, one after another, in one run."""
    told, script = Told(), Scripted(call=step)
    async with running(script) as url:
        mcp = {"type": "mcp", "server_label": "it", "server_url": url, "require_approval": "never"}
        kit = McpService(Guard(["127.0.0.1"]), options=McpOptions(**options)).kit([mcp], "acme")
        tools = await opened(kit, told)
        outcomes = [await made(told, named(tools, "go")) for _ in range(times)]
        assert kit is not None
        await kit.close()
    told.end()
    return outcomes, script


async def hang(request: web.BaseRequest, message: Any) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response()


async def drop(request: web.BaseRequest, message: Any) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"jsonrpc":')
    assert request.transport is not None
    request.transport.abort()
    return response


async def drop_at_once(request: web.BaseRequest, message: Any) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def garbage(request: web.BaseRequest, message: Any) -> web.StreamResponse:
    return web.Response(body=b"\xff\xfe{]", content_type="application/json")


async def page(request: web.BaseRequest, message: Any) -> web.StreamResponse:
    return web.Response(text="<html>", content_type="text/html")


async def broken(request: web.BaseRequest, message: Any) -> web.StreamResponse:
    return web.Response(status=500, text="oh")


async def forbidden(request: web.BaseRequest, message: Any) -> web.StreamResponse:
    return web.Response(status=401)


async def elsewhere(request: web.BaseRequest, message: Any) -> web.StreamResponse:
    raise web.HTTPTemporaryRedirect("http://169.254.169.254/latest/")


async def nonsense(request: web.BaseRequest, message: Any) -> web.StreamResponse:
    return result(message, {"content": "none", "tools": {"a": 1}})


async def refusal(request: web.BaseRequest, message: Any) -> web.StreamResponse:
    return refused(message, -32000, "not today")


async def another(request: web.BaseRequest, message: Any) -> web.StreamResponse:
    return web.Response(status=202)


async def empty(request: web.BaseRequest, message: Any) -> web.StreamResponse:
    return await events(request, _nothing())


async def huge(request: web.BaseRequest, message: Any) -> web.StreamResponse:
    """50 MB in one message, with no length told before."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    head = {"jsonrpc": "2.0", "id": message["id"], "result": {"content": [{"type": "text", "text": "@"}]}}
    before, after = orjson.dumps(head).split(b"@")
    try:
        await response.write(before)
        for _ in range(800):
            await response.write(b"x" * 65536)
        await response.write(after)
    except ConnectionError:
        pass  # it was not read to the end
    return response


async def huge_event(request: web.BaseRequest, message: Any) -> web.StreamResponse:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"event: message\ndata: "
        for _ in range(800):
            yield b"x" * 65536

    return await events(request, pieces())


async def endless(request: web.BaseRequest, message: Any) -> web.StreamResponse:
    """Notices without end."""
    notice = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x" * 9000}}

    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield b"event: message\ndata: " + orjson.dumps(notice) + b"\n\n"

    return await events(request, pieces())


async def packed(request: web.BaseRequest, message: Any) -> web.StreamResponse:
    response = result(message, {"content": [{"type": "text", "text": "x" * 5 * MB}]})
    response.enable_compression(web.ContentCoding.gzip)
    return response


async def resuming(request: web.BaseRequest, message: Any) -> web.StreamResponse:
    """Breaks off at once and says: come again, now."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"id: 1\nretry: 0\ndata: \n\n"

    return await events(request, pieces())


async def _nothing() -> AsyncIterator[bytes]:
    for piece in ():
        yield piece


@pytest.mark.parametrize(
    ("step", "says"),
    [
        (hang, "no answer within 0.5 s"),
        (drop, "the connection broke off"),
        (drop_at_once, "the connection broke off"),
        (garbage, "JSON"),
        (page, "content type"),
        (broken, "it answered with the status 500"),
        (forbidden, "it answered with the status 401"),
        (elsewhere, "Redirect"),
        (nonsense, "does not follow the protocol"),
        (refusal, "not today"),
        (another, "202"),
        (empty, "without a response"),
        (huge, "the answer is longer than"),
        (huge_event, "the answer is longer than"),
        (endless, "the answer is longer than"),
        (packed, "the connection broke off"),
        (resuming, "attempts"),
    ],
)  # fmt: skip
async def test_what_a_server_does_is_an_outcome_of_its_call_and_a_failure_of_its_list(step: Step, says: str) -> None:
    text = await list_failure(step, list_seconds=0.5 if step is hang else 10)
    assert says in text
    (first, second), script = await called(step, times=2, call_seconds=0.5 if step is hang else 10)
    for outcome in (first, second):
        assert not outcome.ok
        assert says in outcome.text.replace("does not follow the protocol: content", "does not follow the protocol")
        assert outcome.fields["error"]["type"] in ("http_error", "mcp_protocol_error")
    assert script.asked.count("tools/call") == 2, "a call is never made twice by itself"


async def test_after_a_failure_the_same_run_goes_on() -> None:
    steps = iter([drop, huge, hang, garbage])

    async def by_turns(request: web.BaseRequest, message: Any) -> web.StreamResponse:
        step = next(steps, None)
        if step is not None:
            return await step(request, message)
        return result(message, {"content": [{"type": "text", "text": "well"}]})

    outcomes, _ = await called(by_turns, times=5, call_seconds=2)
    assert [outcome.ok for outcome in outcomes] == [False, False, False, False, True]


async def test_one_call_that_breaks_off_is_not_the_end_of_another() -> None:
    go_on = asyncio.Event()

    async def by_name(request: web.BaseRequest, message: Any) -> web.StreamResponse:
        name = message["params"]["name"]
        if name == "good":
            await asyncio.wait_for(go_on.wait(), 30)
            return result(message, {"content": [{"type": "text", "text": "well"}]})
        step = {"drop": drop, "huge": huge, "event": huge_event, "broken": broken, "garbage": garbage}[name]
        return await step(request, message)

    names = ["good", "drop", "huge", "event", "broken", "garbage"]
    told, script = Told(), Scripted(*(one(name) for name in names), call=by_name)
    async with running(script) as url:
        mcp = {"type": "mcp", "server_label": "it", "server_url": url, "require_approval": "never"}
        kit = McpService(Guard(["127.0.0.1"])).kit([mcp], "acme")
        tools = await opened(kit, told)
        waits = asyncio.create_task(made(told, named(tools, "good"), id="c0"))
        bad = await asyncio.gather(*(made(told, named(tools, name), id=name) for name in names[1:]))
        go_on.set()
        assert (await waits).text == "well"
        assert kit is not None
        await kit.close()
    told.end()
    assert [outcome.ok for outcome in bad] == [False] * 5
    assert script.asked.count("initialize") == 1


@pytest.mark.parametrize("fault", ["close", "long", "many", "refuse", "garbage"])
async def test_an_old_server_that_fails_is_asked_anew(fault: str) -> None:
    """Over SSE the stream is one for all calls: a call fails with it, and the next one has another."""
    faults = iter([fault])

    async def by_turns(request: web.BaseRequest, message: Any) -> web.StreamResponse:
        what, stream = next(faults, None), script.streams[-1]
        if what == "close":
            assert stream._req is not None and stream._req.transport is not None
            stream._req.transport.abort()
        elif what in ("long", "many"):
            try:
                for _ in range(800):
                    await stream.write(b"x" * 65536 if what == "long" else b": " + b"x" * 65000 + b"\n\n")
            except ConnectionError:
                pass  # the client has had enough
        elif what == "garbage":
            await script.say(b'{"jsonrpc": 7}')
        else:
            return result(message, {"content": [{"type": "text", "text": "well"}]})
        return web.Response(status=202)

    told, script = Told(), OldScripted(call=by_turns)
    async with running(script) as url:
        mcp = {"type": "mcp", "server_label": "it", "server_url": url, "require_approval": "never"}
        kit = McpService(Guard(["127.0.0.1"]), options=McpOptions(call_seconds=3)).kit([mcp], "acme")
        tools = await opened(kit, told)
        script.refuse_posts = fault == "refuse"
        if fault == "refuse":
            next(faults)
        first, second = await made(told, tools[0]), await made(told, tools[0], id="call_2")
        assert kit is not None
        await kit.close()
    told.end()
    assert not first.ok and second.text == "well"
    if fault in ("close", "refuse"):
        assert "the connection broke off" in first.text


async def test_a_long_answer_is_not_held() -> None:
    """Eight calls at once, 50 MB each: what is held is the bound of each, not the answers."""
    told, script = Told(), Scripted(call=huge)
    async with running(script) as url:
        mcp = {"type": "mcp", "server_label": "it", "server_url": url, "require_approval": "never"}
        kit = McpService(Guard(["127.0.0.1"]), options=McpOptions(answer_bytes=64 * 1024)).kit([mcp], "acme")
        tools = await opened(kit, told)
        tracemalloc.start()
        try:
            outcomes = await asyncio.gather(
                *(tools[0].run(ToolCall(f"c{n}", tools[0].offered.name, "{}")) for n in range(8))
            )
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert kit is not None
        await kit.close()
    assert all("longer than" in outcome.text for outcome in outcomes)
    assert peak < 8 * 2 * McpOptions(answer_bytes=64 * 1024).read_bytes, f"{peak / MB:.1f} MiB"


async def test_a_listening_stream_is_not_opened_and_resuming_has_an_end() -> None:
    _, script = await called(resuming, call_seconds=10)
    assert script.asked.count("GET") <= 4


async def test_broken_tools_are_left_out() -> None:
    tools = (
        one("good"),
        one("good", description="again"),
        one("line\nbreak"),
        one("x" * 300),
        one(""),
        one("lying", inputSchema={"type": "object", "properties": {"a": {"type": "strange"}}}),
        one("giant", inputSchema={"type": "object", "description": "x" * 70_000}),
        one("größe & ürsprung"),
        one("gr__e___rsprung", description="the same name for a model as the one before"),
        one("long" * 30 + "1"),
        one("long" * 30 + "2"),
    )
    names, told = await listed(Scripted(*tools))
    assert len(names) == len(set(names)) and all(len(name) <= 64 and name.isascii() for name in names)
    assert names[:2] == ["it__good", "it__gr__e____rsprung"]
    assert len([name for name in names if name.startswith("it__longlong")]) == 2
    assert "giant" not in [tool["name"] for tool in told.output[0]["tools"]]


@pytest.mark.parametrize("schema", [{"type": "array"}, "object", None, [], 7, {"type": "object", "properties": ["a"]}])
async def test_a_list_that_does_not_follow_the_protocol_fails_clearly(schema: Any) -> None:
    async def odd(request: web.BaseRequest, message: Any) -> web.StreamResponse:
        return result(message, {"tools": [one("good"), one("odd", inputSchema=schema)]})

    assert "its answer does not follow the protocol: tools.1.inputSchema" in await list_failure(odd)


async def test_too_many_tools_have_to_be_chosen_from() -> None:
    many = [one(f"t{n}") for n in range(10_000)]

    async def all_of_them(request: web.BaseRequest, message: Any) -> web.StreamResponse:
        return result(message, {"tools": many})

    assert "more than 128 tools; choose some with 'allowed_tools'" in await list_failure(all_of_them)
    async with running(Scripted(list=all_of_them)) as url:
        mcp = {"type": "mcp", "server_label": "it", "server_url": url, "allowed_tools": ["t9999", "t5"]}
        kit = McpService(Guard(["127.0.0.1"])).kit([mcp], "acme")
        assert [tool.offered.tool for tool in await opened(kit, Told())] == ["t5", "t9999"]
        assert kit is not None
        await kit.close()


async def test_a_list_without_end_ends() -> None:
    numbers = iter(range(10**9))

    async def on_and_on(request: web.BaseRequest, message: Any) -> web.StreamResponse:
        return result(message, {"tools": [], "nextCursor": str(next(numbers))})

    async def round_and_round(request: web.BaseRequest, message: Any) -> web.StreamResponse:
        return result(message, {"tools": [], "nextCursor": "same"})

    assert await list_failure(on_and_on) == "its list of tools does not end"
    assert await list_failure(round_and_round) == "its list of tools does not end"


async def test_what_a_server_says_of_its_answers_is_not_run() -> None:
    """A pattern that takes for ever would stop the whole process."""
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}, "required": ["a", "b"]}

    async def answer(request: web.BaseRequest, message: Any) -> web.StreamResponse:
        return result(message, {"content": [], "structuredContent": {"a": "a" * 40 + "!"}})

    told = Told()
    async with running(Scripted(one(outputSchema=schema), call=answer)) as url:
        mcp = {"type": "mcp", "server_label": "it", "server_url": url, "require_approval": "never"}
        kit = McpService(Guard(["127.0.0.1"])).kit([mcp], "acme")
        async with asyncio.timeout(30):
            outcome = await made(told, (await opened(kit, told))[0])
        assert kit is not None
        await kit.close()
    assert outcome.ok and outcome.text == '{"a":"' + "a" * 40 + '!"}'


@pytest.mark.parametrize("text", [r'"\ud800"', '"\\u0000"', '"😀"'])
async def test_half_characters_and_long_numbers_become_json(text: str) -> None:
    """What a server says ends in events, in tables and in a request to a model: all of it is JSON of ours."""
    raw = b'{"jsonrpc":"2.0","id":%d,"result":%b}'

    async def answer(request: web.BaseRequest, message: Any) -> web.StreamResponse:
        content = f'{{"content":[{{"type":"text","text":{text}}}],"structuredContent":{{"a":1{"0" * 40}}}}}'
        return web.Response(body=raw % (message["id"], content.encode()), content_type="application/json")

    async def number(request: web.BaseRequest, message: Any) -> web.StreamResponse:
        content = f'{{"content":[],"structuredContent":{{"a":1{"0" * 40},"b":{text}}}}}'
        return web.Response(body=raw % (message["id"], content.encode()), content_type="application/json")

    async def error(request: web.BaseRequest, message: Any) -> web.StreamResponse:
        said = f'{{"jsonrpc":"2.0","id":{message["id"]},"error":{{"code":-1,"message":{text}}}}}'
        return web.Response(body=said.encode(), content_type="application/json")

    async def tools(request: web.BaseRequest, message: Any) -> web.StreamResponse:
        odd = f'{{"name":"odd","inputSchema":{{"type":"object","maxProperties":1{"0" * 40}}}}}'
        half = f'{{"name":"half","description":{text},"inputSchema":{{"type":"object"}}}}'
        said = f'{{"tools":[{odd},{half},{{"name":{text},"inputSchema":{{"type":"object"}}}}]}}'
        return web.Response(body=raw % (message["id"], said.encode()), content_type="application/json")

    for step in (answer, number, error):
        (outcome,), _ = await called(step)
        orjson.dumps([outcome.text, outcome.fields])
    try:
        names, _ = await listed(Scripted(list=tools))
    except FailedDependency as failure:
        orjson.dumps(failure.message)
    else:
        assert "it__odd" not in names


async def test_the_death_of_a_run_leaves_nothing_behind() -> None:
    async with running(Scripted(call=hang)) as url:
        mcp = {"type": "mcp", "server_label": "it", "server_url": url, "require_approval": "never"}
        kit = McpService(Guard(["127.0.0.1"])).kit([mcp], "acme")
        tools = await opened(kit, Told())
        running_call = asyncio.create_task(tools[0].run(ToolCall("c", tools[0].offered.name, "{}")))
        await asyncio.wait({running_call}, timeout=0.2)
        running_call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running_call
        assert kit is not None
        await kit.close()
        assert not [task for task in asyncio.all_tasks() if "mcp" in task.get_name()]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/mcp", "http://localhost:1/mcp", "http://[::1]/mcp", "http://169.254.169.254/", "ftp://a.example/",
        "http://2130706433/", "https://user:pw@mcp.example/", "http://0x7f000001/", "nothing", "http://10.1.1.1./",
    ],
)  # fmt: skip
async def test_addresses_of_the_inside_are_refused(url: str) -> None:
    mcp = {"type": "mcp", "server_label": "it", "server_url": url}
    with pytest.raises(InvalidRequest) as caught:
        await opened(McpService(Guard()).kit([mcp], "acme"), Told())
    assert caught.value.param == "tools[0].server_url"


async def test_a_server_that_leads_to_another_is_not_followed() -> None:
    asked: list[str] = []

    async def inside(request: web.BaseRequest) -> web.StreamResponse:
        asked.append(request.path)
        return web.Response()

    async with serving(inside) as port:  # type: ignore[arg-type]

        async def there(request: web.BaseRequest, message: Any) -> web.StreamResponse:
            raise web.HTTPTemporaryRedirect(f"http://127.0.0.1:{port}/")

        assert "Redirect" in await list_failure(there)
    assert asked == []


async def test_every_kind_of_end_is_a_caravan_error_for_the_run() -> None:
    for step in (hang, drop, garbage, broken, elsewhere, nonsense):
        with pytest.raises(CaravanError):
            await listed(Scripted(list=step), list_seconds=0.5)
