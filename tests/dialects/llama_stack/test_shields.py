"""Shields as the first three generations ask for them, over a real mesh."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest

MAIL = "write to ada@example.org"
RUNS = [
    ("/safety/run_shield", "shield_type"),
    ("/alpha/safety/run-shield", "shield_id"),
    ("/v1/safety/run-shield", "shield_id"),
]


@pytest.fixture
def shield(http: httpx.Client) -> Iterator[str]:
    made = http.post("/v1/shields", json={"shield_id": "of-the-dialect", "provider_id": "pii"})
    assert made.status_code == 200, made.text
    yield made.json()["identifier"]
    http.delete("/v1/shields/of-the-dialect")


def run(http: httpx.Client, path: str, field: str, shield: str, *messages: dict[str, Any]) -> httpx.Response:
    return http.post(path, json={field: shield, "messages": messages, "params": {}})


@pytest.mark.parametrize(("path", "field"), RUNS)
def test_a_shield_is_asked(http: httpx.Client, shield: str, path: str, field: str) -> None:
    clean = run(http, path, field, shield, {"role": "user", "content": "write to her"})
    assert clean.json() == {"violation": None}
    said = [{"role": "assistant", "content": MAIL, "stop_reason": "end_of_turn", "tool_calls": []}]
    for content in (MAIL, {"type": "text", "text": MAIL}, [{"type": "text", "text": MAIL}]):
        found = run(http, path, field, shield, {"role": "user", "content": content}, *said).json()["violation"]
        assert found["violation_level"] == "error"
        assert found["user_message"] and "email" in json.dumps(found["metadata"])


@pytest.mark.parametrize(("path", "field"), RUNS[:2])
def test_messages_are_those_of_the_generation(http: httpx.Client, shield: str, path: str, field: str) -> None:
    told = {"role": "ipython", "call_id": "c", "tool_name": "look_up", "content": MAIL}
    assert run(http, path, field, shield, told).json()["violation"]["violation_level"] == "error"
    nobody = run(http, path, field, shield, {"role": "nobody", "content": "x"})
    assert (nobody.status_code, nobody.json()["error"]["param"]) == (400, "messages.0.role")
    picture = {"image": {"uri": "https://example.org/a.png"}}
    blind = run(http, path, field, shield, {"role": "user", "content": [picture]})
    assert blind.status_code == 400 and "images" in blind.json()["error"]["message"]


@pytest.mark.parametrize(("path", "field"), RUNS)
def test_what_cannot_be_asked_is_refused(http: httpx.Client, shield: str, path: str, field: str) -> None:
    hello = {"role": "user", "content": "hello"}
    assert run(http, path, field, "no-such-shield", hello).status_code == 404
    assert run(http, path, field, shield).json()["error"]["param"] == "messages"
    assert run(http, path, field, shield, *[hello] * 65).json()["error"]["param"] == "messages"
    nameless = http.post(path, json={"messages": [hello], "params": {}})
    assert (nameless.status_code, nameless.json()["error"]["param"]) == (400, field)


@pytest.mark.parametrize(("prefix", "field"), [("", "shield_type"), ("/alpha", "identifier")])
def test_shields_are_listed_for_the_first_two(http: httpx.Client, shield: str, prefix: str, field: str) -> None:
    listed = http.get(f"{prefix}/shields/list")
    assert listed.headers["content-type"] == "application/jsonl"
    rows = {row["identifier"]: row for row in map(json.loads, listed.text.splitlines())}
    one = http.get(f"{prefix}/shields/get", params={field: shield}).json()
    assert rows[shield] == one
    assert (one["type"], one["shield_type"], one["provider_id"], one["params"]) == ("shield", "pii", "pii", {})
    assert one["provider_resource_id"] == shield
    missing = http.get(f"{prefix}/shields/get", params={field: "no-such-shield"})
    assert (missing.status_code, missing.json()["error"]["type"]) == (404, "invalid_request_error")
