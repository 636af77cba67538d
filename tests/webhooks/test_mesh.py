"""Ends of responses in the background, told by a running mesh."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openai import OpenAI

from tests.mesh.running import STACK, RunningMesh
from tests.threaded import threaded
from tests.upstream.scripted import ScriptedUpstream
from tests.webhooks.receiver import SECRET, Heard, Receiver, receiver

HOOKS = """
webhooks:
  - url: {url}/all
    secret: ${{env.HOOK_SECRET}}
    allow_private: true
  - url: {url}/cancelled
    secret: ${{env.HOOK_SECRET}}
    events: [response.cancelled]
    allow_private: true
  - url: {url}/stranger
    secret: ${{env.HOOK_SECRET}}
    tenant: stranger
    allow_private: true
"""


@pytest.fixture(scope="module")
def there() -> Iterator[Receiver]:
    made = receiver()
    with threaded(made.open()):
        yield made


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    made = ScriptedUpstream()
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def mesh(
    there: Receiver, upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningMesh]:
    stack = STACK.format(url=upstream.url, slots="") + HOOKS.format(url=there.url)
    folder = tmp_path_factory.mktemp("webhooks")
    made = RunningMesh(folder, upstream, scale="agents=2", stack=stack, environment={"HOOK_SECRET": SECRET})
    made.start()
    try:
        made.until(made.all_ready)
        yield made
    finally:
        made.stop()


@pytest.fixture
def client(mesh: RunningMesh) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{mesh.url}/v1", api_key="-", max_retries=0, timeout=30, webhook_secret=SECRET) as made:
        yield made


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
