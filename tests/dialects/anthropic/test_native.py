"""Providers that speak the Messages API themselves: what a client says arrives untouched, and so does the answer."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2 as httpx
import nats
import pytest
from anthropic import Anthropic

from tests.dialects.anthropic.making import HELLO, events
from tests.mesh.running import RunningMesh
from tests.mesh.tenants import BOSS
from tests.stored.upstream import NumberedUpstream
from tests.upstream.anthropic import THOUGHT, TOO_LONG, ScriptedAnthropic

pytestmark = pytest.mark.usefixtures("native")
HI: Any = [{"role": "user", "content": "hello"}]
CACHED: Any = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
ONE_TRY = {"retry": {"same_target": 0}}
ROUTES: dict[str, Any] = {
    "busy": {"targets": ["claude/status-529", "spare/plain"], **ONE_TRY},
    "limited": {"targets": ["claude/status-429", "spare/plain"], **ONE_TRY},
    "early": {"targets": ["claude/early", "spare/plain"], **ONE_TRY},
    "cut": {"targets": ["claude/cut-2", "spare/plain"], **ONE_TRY},
    "long": {
        "targets": [
            {"model": "claude/toolong", "context_length": 200_000},
            {"model": "spare/plain", "context_length": 1_000_000},
        ]
    },
    "mixed": {"targets": ["up/plain", "claude/plain"]},
}
PAGES = b"".join(
    b"event: %s\ndata: %s\n\n" % (event["type"].encode(), json.dumps(event, ensure_ascii=False).encode())
    for event in [
        {"type": "message_start", "message": {"id": "msg_9", "type": "message", "model": "claude/pages", "usage": {}}},
        *[
            {"type": "content_block_delta", "index": 0, "delta": {"type": "new_delta", "é": f'{{"{i}" \n\n data: '}}
            for i in range(60)
        ],
        {"type": "new_event", "of": ["another", "beta"]},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 60}},
        {"type": "message_stop", "new": 1},
    ]
)


@pytest.fixture(scope="module")
def claude() -> Iterator[ScriptedAnthropic]:
    made = ScriptedAnthropic(models=["plain", "signed"])
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def spare() -> Iterator[ScriptedAnthropic]:
    made = ScriptedAnthropic()
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def native(mesh: RunningMesh, claude: ScriptedAnthropic, spare: ScriptedAnthropic) -> Iterator[None]:
    """Two providers of one tenant, by type and by what it says of itself; and routes to them."""
    own = [
        ("claude", "remote::anthropic", claude, {}),
        ("spare", "remote::openai-compatible", spare, {"messages": True}),
    ]
    with httpx.Client(base_url=mesh.url, timeout=30, headers={"authorization": f"Bearer {BOSS}"}) as boss:
        for name, kind, upstream, more in own:
            config = {"base_url": f"{upstream.url}/v1", "allow_unlisted": True, **more}
            body = {"provider_id": name, "provider_type": kind, "config": config}
            boss.post("/v1/providers", json=body).raise_for_status()
        for name, body in ROUTES.items():
            boss.put(f"/v1/routes/{name}", json=body).raise_for_status()

        def known() -> bool:
            answers = [boss.get("/v1/models").json()["data"] for _ in range(8)]  # both gateways
            return all({"claude/plain", "spare/plain", *ROUTES} <= {row["id"] for row in rows} for rows in answers)

        mesh.until(known)
        yield
        for name in ROUTES:
            boss.delete(f"/v1/routes/{name}")
        for name, *_ in own:
            boss.delete(f"/v1/providers/{name}")


def way(http: httpx.Client, model: str, **headers: str) -> str:
    answer = http.post("/v1/messages", json={**HELLO, "model": model}, headers=headers)
    assert answer.status_code == 200, answer.text
    return str(answer.headers["x-caravan-dialect"])


def test_a_request_arrives_untouched(client: Anthropic, claude: ScriptedAnthropic) -> None:
    history: Any = [*HI, {"role": "assistant", "content": [THOUGHT, {"type": "text", "text": "w0"}]}, *HI]
    search: Any = [{"type": "web_search_20250305", "name": "web_search", "max_uses": 2}]
    client.beta.messages.create(
        model="claude/plain",
        max_tokens=3,
        system=CACHED,
        messages=history,
        tools=search,
        mcp_servers=[{"type": "url", "url": "https://mcp.example.com", "name": "x"}],
        container="c_1",
        betas=["mcp-client-2025-04-04", "files-api-2025-04-14"],
        extra_body={"new_field": {"model": "claude/plain"}},
        extra_headers={"X-OGX-Provider-Data": json.dumps({"claude_api_key": "of-the-client"})},
    )
    sent = claude.requests[-1]
    assert sent.body == {
        "model": "plain",
        "max_tokens": 3,
        "system": CACHED,
        "messages": history,
        "tools": search,
        "mcp_servers": [{"type": "url", "url": "https://mcp.example.com", "name": "x"}],
        "container": "c_1",
        "new_field": {"model": "claude/plain"},
    }
    assert sent.headers["anthropic-beta"] == "mcp-client-2025-04-04,files-api-2025-04-14"
    assert sent.headers["anthropic-version"] == "2023-06-01"
    assert sent.headers["x-api-key"] == "of-the-client"
    assert "authorization" not in sent.headers


def test_a_signature_comes_back_as_it_was_made(client: Anthropic) -> None:
    given: Any = {"model": "claude/signed", "max_tokens": 4, "messages": HI}
    made = client.messages.create(**given)
    with client.messages.stream(**given) as stream:
        streamed = stream.get_final_message()
    assert made._request_id is not None and made._request_id.startswith("req_")
    for message in (made, streamed):
        assert message.content[0].to_dict() == THOUGHT
        assert (message.model, message.stop_reason, message.id) == ("claude/signed", "end_turn", "msg_1")
        assert message.usage.cache_read_input_tokens == 2


@pytest.mark.parametrize("seed", range(6))
def test_a_stream_keeps_its_bytes_however_they_come(http: httpx.Client, claude: ScriptedAnthropic, seed: int) -> None:
    chance = random.Random(seed)
    told = PAGES.replace(b"claude/pages", b"pages")
    cuts = [0, *sorted(chance.sample(range(1, len(told)), 3 + seed * 20)), len(told)]
    claude.pages[f"pages {seed}"] = [told[start:stop] for start, stop in itertools.pairwise(cuts)]
    body = {
        **HELLO,
        "model": "claude/pages",
        "stream": True,
        "messages": [{"role": "user", "content": f"pages {seed}"}],
    }
    answer = http.post("/v1/messages", json=body)
    assert answer.content == PAGES
    assert answer.headers["x-caravan-dialect"] == "native"


def test_which_way_is_taken(http: httpx.Client, claude: ScriptedAnthropic, upstream: NumberedUpstream) -> None:
    assert way(http, "claude/plain") == way(http, "spare/plain") == "native"
    assert way(http, "up/plain") == "translated"
    before = len(claude.requests), len(upstream.requests)
    assert way(http, "mixed") == "translated"
    assert (len(claude.requests), len(upstream.requests)) == (before[0], before[1] + 1)


def test_a_request_that_no_translation_holds_is_refused_where_one_is_needed(http: httpx.Client) -> None:
    body = {**HELLO, "model": "mixed", "container": "c_1"}
    assert http.post("/v1/messages", json=body).status_code == 400
    assert http.post("/v1/messages", json={**body, "model": "claude/plain"}).status_code == 200


def test_what_a_provider_refuses_is_said_in_its_words(client: Anthropic, http: httpx.Client) -> None:
    def raised(kind: type[anthropic.APIStatusError], model: str) -> anthropic.APIStatusError:
        with pytest.raises(kind) as error:
            client.messages.create(model=model, max_tokens=3, messages=HI)
        return error.value

    assert raised(anthropic.BadRequestError, "claude/toolong").body["error"]["message"] == TOO_LONG  # type: ignore[index]
    limited = raised(anthropic.RateLimitError, "claude/status-429")
    assert limited.type == "rate_limit_error" and limited.response.headers["retry-after"] == "2"
    busy = raised(anthropic.APIStatusError, "claude/status-529")
    assert (busy.status_code, busy.type) == (529, "overloaded_error")
    answer = http.post("/v1/messages", json={**HELLO, "model": "claude/plain"}, headers={"anthropic-beta": "no good"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert "anthropic-beta" in answer.json()["error"]["message"]


@pytest.mark.parametrize(("model", "kind"), [("claude/cut-2", "api_error"), ("claude/inband-2", "overloaded_error"),
                                             ("claude/noend", "api_error"), ("cut", "api_error")])  # fmt: skip
def test_a_stream_that_breaks_ends_with_an_error(
    http: httpx.Client, spare: ScriptedAnthropic, model: str, kind: str
) -> None:
    before = len(spare.requests)
    told = events(http.post("/v1/messages", json={**HELLO, "model": model, "stream": True}).content)
    assert told[0]["type"] == "message_start"
    assert (told[-1]["type"], told[-1]["error"]["type"]) == ("error", kind)
    assert "message_stop" not in [event["type"] for event in told]
    assert len(spare.requests) == before


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("model", ["busy", "limited", "early", "long"])
def test_before_the_first_byte_the_next_target_answers(
    http: httpx.Client, spare: ScriptedAnthropic, model: str, streamed: bool
) -> None:
    if model == "early" and not streamed:
        pytest.skip("it is an event")
    before = len(spare.requests)
    answer = http.post("/v1/messages", json={**HELLO, "model": model, "stream": streamed})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-caravan-target"] == "spare/plain"
    assert answer.headers["x-caravan-dialect"] == "native"
    message = events(answer.content)[0]["message"] if streamed else answer.json()
    assert message["model"] == "spare/plain"
    assert len(spare.requests) == before + 1


def test_a_client_that_leaves_stops_the_provider(
    client: Anthropic, claude: ScriptedAnthropic, mesh: RunningMesh
) -> None:
    before = claude.closed_early
    with client.messages.stream(model="claude/slow-50", max_tokens=1000, messages=HI) as stream:
        next(iter(stream.text_stream))
    mesh.until(lambda: claude.closed_early == before + 1, 10)


def test_tokens_are_counted(http: httpx.Client, mesh: RunningMesh) -> None:
    def counted() -> float:
        labels = 'caravan_tokens_total{direction="input",model="claude/counted"'
        return sum(mesh.metric(name, labels) for name in ("gateway-1", "gateway-2"))

    for stream in (False, True):
        before = counted()
        http.post("/v1/messages", json={**HELLO, "model": "claude/counted", "stream": stream}).raise_for_status()
        assert counted() - before == 9  # two of them were in a cache


@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_is_cached_but_not_under_a_beta(
    http: httpx.Client, claude: ScriptedAnthropic, streamed: bool
) -> None:
    said = [{"role": "user", "content": f"cached {random.random()}"}]
    body = {**HELLO, "model": "claude/plain", "messages": said, "stream": streamed}

    def ask(**headers: str) -> tuple[str, str, bytes]:
        answer = http.post("/v1/messages", json=body, headers={"X-Caravan-Cache": "use", **headers})
        return answer.headers["x-caravan-cache"], answer.headers["x-caravan-dialect"], answer.content

    before = len(claude.requests)
    first, second = ask(), ask()
    assert (first[:2], second[:2]) == (("miss", "native"), ("hit", "native"))
    assert first[2] == second[2] and len(claude.requests) == before + 1
    assert ask(**{"anthropic-beta": "another"})[0] == "bypass"


async def test_a_user_of_the_bus_asks_in_these_words(mesh: RunningMesh, claude: ScriptedAnthropic) -> None:
    user = "dana"
    assert mesh.command("bus", "user", "add", user, "--tenant", "acme").returncode == 0
    seed = mesh.folder / "data" / "bus" / f"{user}.nk"
    prefix = f"_INBOX.{user}".encode()
    line = await nats.connect(mesh.state["urls"]["nats"], nkeys_seed=str(seed), inbox_prefix=prefix)
    inbox = await line.subscribe(f"_INBOX.{user}.1")
    subject, headers = f"caravan.v1.inference.messages.acme.{user}", {"anthropic-beta": "from-the-bus"}
    try:
        body = json.dumps({**HELLO, "model": "claude/plain", "stream": True}).encode()
        await line.publish(subject, body, f"_INBOX.{user}.1", headers)
        parts = []
        while part := (await inbox.next_msg(30)).data:
            parts.append(part)
        refused = await line.request(subject, json.dumps({**HELLO, "model": "up/plain"}).encode(), 30)
    finally:
        await line.close()
        assert mesh.command("bus", "user", "remove", user).returncode == 0
    told = events(b"".join(parts))
    assert (told[0]["type"], told[-1]["type"]) == ("message_start", "message_stop")
    assert claude.requests[-1].headers["anthropic-beta"] == "from-the-bus"
    assert json.loads(refused.data)["error"]["code"] == "wrong_model_type"


def test_an_answer_is_kept_under_its_key(client: Anthropic, claude: ScriptedAnthropic) -> None:
    given: Any = {"model": "claude/plain", "max_tokens": 2, "messages": HI}
    key = {"Idempotency-Key": f"native-{random.random()}"}
    before = len(claude.requests)
    for _ in range(2):
        assert client.messages.create(**given, extra_headers=key).content[0].to_dict()["text"] == "w0 w1 "
    assert len(claude.requests) == before + 1
    with pytest.raises(anthropic.APIStatusError):
        client.messages.create(**given, extra_headers={**key, "anthropic-beta": "another"})
