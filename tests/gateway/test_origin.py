"""Pages of other sites and a gateway without API keys."""

from __future__ import annotations

import json

import pytest
from caravan_contracts.errors import PermissionDenied
from caravan_gateway import origin
from caravan_gateway.asgi import Event, Receive, Scope, Send
from caravan_gateway.edge import Edge

JSON = (b"content-type", b"application/json")


@pytest.mark.parametrize(
    "value", [b"http://localhost:3000", b"http://app.localhost", b"http://127.0.0.1:8321", b"https://[::1]:1"]
)
def test_pages_of_this_machine_may(value: bytes) -> None:
    origin.check("POST", [JSON, (b"origin", value)])


def test_other_clients_send_no_origin() -> None:
    origin.check("POST", [JSON])


@pytest.mark.parametrize(
    "value",
    [b"https://evil.example", b"null", b"", b"http://127.0.0.1.evil.example", b"http://[::1", b"\xff", b"localhost"],
)
def test_pages_from_elsewhere_may_look_and_not_touch(value: bytes) -> None:
    for method in ("POST", "DELETE", "PUT"):
        with pytest.raises(PermissionDenied, match="API_KEYS_FILE"):
            origin.check(method, [(b"origin", value), JSON])
    origin.check("GET", [(b"origin", value)])


@pytest.mark.parametrize("path", ["/hot", "/rest"])
@pytest.mark.parametrize("own_pages_only", [True, False])
async def test_the_edge_asks_before_any_route(path: str, own_pages_only: bool) -> None:
    reached: list[str] = []
    sent: list[Event] = []

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope["path"])

    async def receive() -> Event:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(event: Event) -> None:
        sent.append(event)

    edge = Edge({"/hot": route}, route, 1.0, own_pages_only=own_pages_only)
    headers = [JSON, (b"origin", b"https://evil.example")]
    await edge({"type": "http", "method": "POST", "path": path, "headers": headers}, receive, send)
    assert reached == ([] if own_pages_only else [path])
    if own_pages_only:
        assert sent[0]["status"] == 403
        assert json.loads(sent[1]["body"])["error"]["code"] == "foreign_origin"
        assert any(name == b"x-request-id" for name, _ in sent[0]["headers"])
