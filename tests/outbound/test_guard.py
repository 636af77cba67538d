"""What the guard lets through, and that nothing changes between the judgement and the connection."""

from __future__ import annotations

import pytest
from caravan_bus.outbound import Allowed, Guard
from caravan_contracts.errors import InvalidRequest, UpstreamFailed

from tests.outbound.servers import Names

PUBLIC = "93.184.215.14"


async def test_a_public_name_leads_to_its_addresses() -> None:
    names = Names(example_com=[[PUBLIC, "10.0.0.1", "2606:4700::1"]])
    found = await Guard(lookup=names).resolve("https://Example.com./x?y")
    assert (found.ip, found.port, found.host, found.tls) == (PUBLIC, 443, "example.com", True)
    assert found.others == ("2606:4700::1",), "only what was judged good"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://2130706433/",
        "http://0x7f.1:8080/",
        "http://[::ffff:a00:1]/",
        "http://169.254.169.254.",
    ],
)
async def test_an_address_of_the_inside_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await Guard().resolve(url, param="tools[0].server_url")
    assert (caught.value.param, caught.value.code) == ("tools[0].server_url", "address_not_allowed")


@pytest.mark.parametrize("found", [["127.0.0.1"], ["::1", "10.0.0.1"], ["fe80::1%2"], []])
async def test_a_name_of_the_inside_is_refused(found: list[str]) -> None:
    with pytest.raises(InvalidRequest):
        await Guard(lookup=Names(inside_example=[found])).resolve("http://inside.example/")


async def test_localhost_is_refused_by_the_systems_own_resolver() -> None:
    with pytest.raises(InvalidRequest, match="may not be connected to"):
        await Guard().resolve("http://localhost:1/")


async def test_a_name_that_nobody_knows_is_no_fault_of_the_url() -> None:
    with pytest.raises(UpstreamFailed) as caught:
        await Guard(lookup=Names()).resolve("http://nowhere.example/", param="url")
    assert (caught.value.code, caught.value.param) == ("host_not_found", "url")


@pytest.mark.parametrize(
    ("entry", "url", "good"),
    [
        ("mcp.internal", "http://mcp.internal:9/", True),
        ("mcp.internal:9", "http://MCP.internal.:9/", True),
        ("mcp.internal:9", "http://mcp.internal:10/", False),
        ("internal", "http://mcp.internal/", False),
        ("10.0.0.0/8", "http://mcp.internal/", True),
        ("10.0.0.5", "http://mcp.internal/", True),
        ("10.0.0.5:80", "http://mcp.internal/", True),
        ("10.0.0.5:81", "http://mcp.internal/", False),
        ("10.0.0.5", "http://[::ffff:10.0.0.5]/", True),
        ("10.0.0.0/8", "http://[64:ff9b::a00:5]/", False),
        ("11.0.0.0/8", "http://mcp.internal/", False),
        ("[fd00::1]:80", "http://[fd00::1]/", True),
        ("fd00::/8", "http://[fd00::1]/", True),
        ("mcp.internal", "http://10.0.0.5/", False),
    ],
)
async def test_what_an_operator_allows(entry: str, url: str, good: bool) -> None:
    guard = Guard([entry], Names(mcp_internal=[["10.0.0.5"]]))
    if good:
        assert (await guard.resolve(url)).ip in ("10.0.0.5", "fd00::1")
    else:
        with pytest.raises(InvalidRequest):
            await guard.resolve(url)


def test_entries_may_stand_in_one_text() -> None:
    allowed = Allowed("a.internal, 10.0.0.0/8  b.internal:80")
    assert allowed.host("a.internal", 1) and allowed.host("b.internal", 80) and not allowed.host("b.internal", 81)


@pytest.mark.parametrize("entry", ["10.0.0.1/8", "a b:c", "host:0", "host:x", "http://host", "[::1", "*", "host:１"])
def test_an_entry_that_cannot_be_read_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match="is no host, host:port, address or network"):
        Guard([entry])
