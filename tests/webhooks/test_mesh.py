"""Ends of responses in the background, told by a running mesh."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openai import OpenAI

from tests.mesh.running import RunningMesh
from tests.mesh.tenants import ROOT, connect
from tests.webhooks.receiver import SECRET, Heard, Receiver


@pytest.fixture
def there(acting_hooks: Receiver) -> Receiver:
    return acting_hooks


@pytest.fixture
def mesh(acting_mesh: RunningMesh) -> RunningMesh:
    return acting_mesh


@pytest.fixture
def client(mesh: RunningMesh) -> Iterator[OpenAI]:
    with connect(mesh, ROOT) as made:
        yield made.with_options(webhook_secret=SECRET)


def heard_of(there: Receiver, id: str) -> list[Heard]:
    return [heard for heard in there.heard if heard.event["data"]["id"] == id]


def test_who_is_told_can_ask_for_the_response(client: OpenAI, mesh: RunningMesh, there: Receiver) -> None:
    made = client.responses.create(model="up/plain", input="hello", background=True)
    mesh.until(lambda: len(heard_of(there, made.id)) == 1)
    (heard,) = heard_of(there, made.id)
    event = client.webhooks.unwrap(heard.body, heard.headers)
    assert (heard.path, event.type) == ("/all", "response.completed")
    done = client.responses.retrieve(made.id)
    assert done.status == "completed" and done.completed_at is not None
    assert event.created_at == int(done.completed_at)


def test_a_response_that_is_cancelled(client: OpenAI, mesh: RunningMesh, there: Receiver) -> None:
    made = client.responses.create(model="up/slow-500", input="hello", background=True, max_output_tokens=1000)
    mesh.until(lambda: client.responses.retrieve(made.id).status == "in_progress")
    client.responses.cancel(made.id)
    mesh.until(lambda: len(heard_of(there, made.id)) == 2)
    assert sorted((heard.path, heard.verified().type) for heard in heard_of(there, made.id)) == [
        ("/all", "response.cancelled"),
        ("/cancelled", "response.cancelled"),
    ]
    assert len({heard.headers["webhook-id"] for heard in heard_of(there, made.id)}) == 1


def test_a_response_that_fails(client: OpenAI, mesh: RunningMesh, there: Receiver) -> None:
    made = client.responses.create(model="up/status-400", input="hello", background=True)
    mesh.until(lambda: len(heard_of(there, made.id)) == 1)
    assert heard_of(there, made.id)[0].verified().type == "response.failed"
    assert client.responses.retrieve(made.id).status == "failed"


def test_who_waited_for_a_response_need_not_be_told(client: OpenAI, mesh: RunningMesh, there: Receiver) -> None:
    waited = client.responses.create(model="up/plain", input="hello")
    last = client.responses.create(model="up/plain", input="hello", background=True)
    mesh.until(lambda: len(heard_of(there, last.id)) == 1)
    assert heard_of(there, waited.id) == []
    assert "/stranger" not in {heard.path for heard in there.heard}


def test_secrets_are_in_no_log(mesh: RunningMesh) -> None:
    assert not [child for child in mesh.state["children"] if SECRET in mesh.log(child["name"])]
