"""Stored chat completions as OpenAI's own client uses them, over a real mesh."""

from __future__ import annotations

import json
from typing import Any

import httpx2 as httpx
import pytest
from openai import APIError, BadRequestError, NotFoundError, OpenAI

from tests.mesh.running import RunningMesh
from tests.stored.upstream import NumberedUpstream

HELLO: list[Any] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]


def make(client: OpenAI, **more: Any) -> Any:
    """A stored completion; the chunks of a stream."""
    asked = {"model": "up/plain", "messages": HELLO, "store": True, **more}
    made = client.chat.completions.create(**asked)
    return list(made) if asked.get("stream") else made


def test_a_completion_is_there_at_once(client: OpenAI) -> None:
    made = make(client, metadata={"topic": "greeting"}, temperature=0.5, user="me")
    found = client.chat.completions.retrieve(made.id)
    assert found.choices == made.choices
    assert (found.id, found.created, found.model, found.usage) == (made.id, made.created, "up/plain", made.usage)
    assert found.object == "chat.completion"
    extra = found.model_dump()
    assert extra["metadata"] == {"topic": "greeting"}
    assert (extra["temperature"], extra["top_p"], extra["input_user"]) == (0.5, None, "me")
    assert extra["request_id"] == made._request_id
    assert extra["input_messages"] == HELLO


def test_what_is_not_to_be_stored_is_not(client: OpenAI) -> None:
    for more in ({"store": False}, {"store": None}):
        made = make(client, **more)
        with pytest.raises(NotFoundError) as caught:
            client.chat.completions.retrieve(made.id)
        assert caught.value.body == {
            "message": f"there is no stored chat completion '{made.id}'",
            "type": "invalid_request_error",
            "param": "completion_id",
            "code": "not_found",
        }


@pytest.mark.parametrize("model", ["plain", "crlf", "split", "nodone", "tools"])
def test_a_stream_is_stored_as_what_it_told(client: OpenAI, model: str) -> None:
    whole = make(client, model=f"up/{model}", store=False)
    chunks = make(client, model=f"up/{model}", stream=True)
    found = client.chat.completions.retrieve(chunks[0].id)
    assert [c.message.content for c in found.choices] == [c.message.content for c in whole.choices]
    assert [c.message.tool_calls for c in found.choices] == [c.message.tool_calls for c in whole.choices]
    assert [c.finish_reason for c in found.choices] == [c.finish_reason for c in whole.choices]
    assert found.model == f"up/{model}"
    assert found.usage is not None
    assert (found.usage.prompt_tokens, found.usage.completion_tokens, found.usage.total_tokens) == (7, 4, 11)


def test_several_choices_are_stored(client: OpenAI) -> None:
    made = make(client, n=3)
    assert client.chat.completions.retrieve(made.id).choices == made.choices
    logged = make(client, model="up/logprobs")
    assert client.chat.completions.retrieve(logged.id).choices == logged.choices


def test_a_stream_that_breaks_is_not_stored(client: OpenAI, http: httpx.Client) -> None:
    before = count(http)
    with pytest.raises(APIError):
        make(client, model="up/cut-3", stream=True)
    assert count(http) == before


def count(http: httpx.Client) -> int:
    total, after = 0, ""
    while True:
        page = http.get("/v1/chat/completions", params={"limit": 100, "after": after}).json()
        total += len(page["data"])
        if not page["has_more"]:
            return total
        after = page["last_id"]


def test_lists_have_an_order_pages_and_filters(client: OpenAI) -> None:
    made = [make(client, metadata={"run": "pages", "n": str(n)}) for n in range(5)]
    ids = [row.id for row in made]
    listed = client.chat.completions.list
    assert [row.id for row in listed(metadata={"run": "pages"})] == ids
    assert [row.id for row in listed(metadata={"run": "pages"}, order="desc", limit=2)] == ids[::-1]
    page = listed(metadata={"run": "pages"}, limit=2)
    assert [row.id for row in page.data] == ids[:2]
    assert page.has_more is True
    assert [row.id for row in page.get_next_page().data] == ids[2:4]
    assert [row.id for row in listed(metadata={"run": "pages", "n": "3"})] == [ids[3]]
    assert listed(metadata={"run": "pages"}, model="up/none").data == []
    named = make(client, model="nickname", metadata={"run": "named"})
    assert [row.id for row in listed(model="nickname")] == [named.id]
    with pytest.raises(NotFoundError):
        listed(after="chatcmpl-never")


def test_metadata_is_replaced(client: OpenAI) -> None:
    made = make(client, metadata={"a": "1"})
    assert client.chat.completions.update(made.id, metadata={"b": "2"}).model_dump()["metadata"] == {"b": "2"}
    assert client.chat.completions.retrieve(made.id).model_dump()["metadata"] == {"b": "2"}
    assert [row.id for row in client.chat.completions.list(metadata={"b": "2"})] == [made.id]


@pytest.mark.parametrize(
    "metadata",
    [{f"k{n}": "v" for n in range(17)}, {"k" * 65: "v"}, {"k": "v" * 513}, {"": "v"}, {"k": 1}, {"k": "a\0"}],
)
def test_metadata_has_bounds(client: OpenAI, metadata: Any) -> None:
    made = make(client)
    for call in (
        lambda: make(client, metadata=metadata),
        lambda: client.chat.completions.update(made.id, metadata=metadata),
    ):
        with pytest.raises(BadRequestError) as caught:
            call()
        assert caught.value.param == "metadata"


def test_a_deleted_completion_is_gone(client: OpenAI) -> None:
    made, last = make(client, metadata={"run": "gone"}), make(client, metadata={"run": "gone"})
    gone = client.chat.completions.delete(made.id)
    assert gone.model_dump() == {"id": made.id, "object": "chat.completion.deleted", "deleted": True}
    for call in (
        lambda: client.chat.completions.retrieve(made.id),
        lambda: client.chat.completions.delete(made.id),
        lambda: client.chat.completions.messages.list(made.id),
        lambda: client.chat.completions.update(made.id, metadata={}),
    ):
        with pytest.raises(NotFoundError):
            call()
    # a list goes on behind what was deleted meanwhile
    assert [r.id for r in client.chat.completions.list(metadata={"run": "gone"}, after=made.id)] == [last.id]


def test_the_messages_of_a_request(client: OpenAI) -> None:
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    made = make(client, messages=[*HELLO, {"role": "user", "content": parts, "name": "ada"}])
    messages = list(client.chat.completions.messages.list(made.id))
    assert [m.id for m in messages] == [f"{made.id}-{n}" for n in range(3)]
    assert [m.content for m in messages] == ["Be brief.", "Hello", "What is this?"]
    assert messages[0].content_parts is None
    assert messages[2].model_dump(exclude_unset=True)["content_parts"] == parts
    assert messages[2].model_dump()["name"] == "ada"
    listed = client.chat.completions.messages.list
    assert [m.id for m in listed(made.id, order="desc", limit=1)] == [m.id for m in reversed(messages)]
    assert [m.id for m in listed(made.id, after=messages[0].id)] == [m.id for m in messages[1:]]
    with pytest.raises(BadRequestError):
        listed(made.id, after="nonsense")


def test_another_tenant_sees_nothing(client: OpenAI, stranger: OpenAI) -> None:
    made = make(client, metadata={"secret": "yes"})
    assert client.chat.completions.retrieve(made.id)
    assert made.id not in [row.id for row in stranger.chat.completions.list(metadata={"secret": "yes"})]
    for call in (
        lambda: stranger.chat.completions.retrieve(made.id),
        lambda: stranger.chat.completions.update(made.id, metadata={"mine": "now"}),
        lambda: stranger.chat.completions.delete(made.id),
        lambda: stranger.chat.completions.messages.list(made.id),
        lambda: stranger.chat.completions.list(after=made.id),
    ):
        with pytest.raises(NotFoundError):
            call()
    assert client.chat.completions.retrieve(made.id).model_dump()["metadata"] == {"secret": "yes"}


def test_large_requests_and_answers_come_back_whole(client: OpenAI) -> None:
    image = "data:image/png;base64," + "A" * 3_000_000
    parts = [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": image}}]
    made = make(client, model="up/big-2000", messages=[{"role": "user", "content": parts}], metadata={"run": "large"})
    found = client.chat.completions.retrieve(made.id)
    assert found.choices == made.choices
    assert len(found.choices[0].message.content or "") == 2000 * 1024
    (message,) = client.chat.completions.messages.list(made.id)
    assert message.model_dump(exclude_unset=True)["content_parts"] == parts
    assert message.content == "Look"
    small = make(client, metadata={"run": "large"})
    assert [row.id for row in client.chat.completions.list(metadata={"run": "large"})] == [made.id, small.id]


def test_the_provider_is_not_asked_to_store(client: OpenAI, upstream: NumberedUpstream) -> None:
    make(client, model="up/plain", metadata={"a": "b"}, seed=4711)
    (asked,) = [r.body for r in upstream.requests if isinstance(r.body, dict) and r.body.get("seed") == 4711]
    assert not {"store", "metadata"} & asked.keys()


def test_older_clients_find_the_same_below_their_prefix(client: OpenAI, http: httpx.Client) -> None:
    made = make(client)
    old = "/v1/openai/v1/chat/completions"
    assert http.get(f"{old}/{made.id}").json()["id"] == made.id
    assert made.id in [r["id"] for r in http.get(old, params={"order": "desc"}).json()["data"]]
    assert http.get(f"{old}/{made.id}/messages").json()["data"][1]["content"] == "Hello"
    assert http.delete(f"{old}/{made.id}").json()["deleted"] is True


def test_bad_questions_are_answered_in_openais_shape(http: httpx.Client) -> None:
    for params in ({"limit": 0}, {"limit": 101}, {"limit": "x"}, {"order": "up"}, {"metadata[a]": "x" * 600}):
        answer = http.get("/v1/chat/completions", params=params)
        assert answer.status_code == 400, params
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert http.get("/v1/chat/completions/a%00b").status_code == 404
    assert http.get("/v1/chat/completions/" + "x" * 3000).status_code == 404
    assert http.post("/v1/chat/completions/x", json={}).status_code == 400
    assert http.post("/v1/chat/completions/x", content=b"{").status_code == 400
    assert http.put("/v1/chat/completions").status_code == 405
    assert http.get("/v1/embeddings").status_code == 405


def test_nobody_asks_without_a_key(mesh: RunningMesh) -> None:
    assert httpx.get(f"{mesh.url}/v1/chat/completions").status_code == 401


def test_the_document_names_the_routes(http: httpx.Client) -> None:
    paths = http.get("/openapi.json").json()["paths"]
    assert set(paths["/v1/chat/completions"]) == {"get", "post"}
    assert set(paths["/v1/chat/completions/{completion}"]) == {"get", "post", "delete"}


def test_operators_see_the_queue(mesh: RunningMesh) -> None:
    text = json.dumps(mesh.status())
    assert "caravan-agents" in text or "agents" in text
