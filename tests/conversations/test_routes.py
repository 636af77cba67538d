"""Conversations as OpenAI's own client uses them, over two gateways and two agents services."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from openai import APIStatusError, BadRequestError, NotFoundError, OpenAI
from openai.types.conversations import Conversation, ConversationItem
from pydantic import TypeAdapter

from tests.conversations.examples import EXAMPLES, example, message
from tests.mesh.running import RunningMesh
from tests.mesh.tenants import connect

OFFICIAL: TypeAdapter[Any] = TypeAdapter(ConversationItem)
NOWHERE = "conv_" + "0" * 48


def converse(client: OpenAI, *texts: str, **more: Any) -> Any:
    return client.conversations.create(items=[message(text) for text in texts], **more)  # type: ignore[misc]


def texts(client: OpenAI, conversation: str, **more: Any) -> list[str]:
    return [row.content[0].text for row in client.conversations.items.list(conversation, **more)]  # type: ignore[union-attr]


def test_a_conversation_from_beginning_to_end(client: OpenAI) -> None:
    made = client.conversations.create(
        metadata={"topic": "greeting"},
        items=[{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi there"}],
    )
    assert re.fullmatch("conv_[0-9a-f]{48}", made.id)
    assert (made.object, made.metadata) == ("conversation", {"topic": "greeting"})
    assert abs(made.created_at - time.time()) < 60
    assert client.conversations.retrieve(made.id) == made
    page = client.conversations.items.list(made.id, order="asc")
    first, second = page.data
    assert re.fullmatch("msg_[0-9a-f]{48}", first.id)
    assert first.model_dump(exclude_unset=True) == {
        "id": first.id,
        "type": "message",
        "role": "user",
        "status": "completed",
        "content": [{"type": "input_text", "text": "Hello"}],
    }
    assert second.model_dump(exclude_unset=True)["content"] == [
        {"type": "output_text", "text": "Hi there", "annotations": [], "logprobs": []}
    ]
    assert (page.has_more, page.last_id) == (False, second.id)
    assert client.conversations.items.retrieve(first.id, conversation_id=made.id) == first
    changed = client.conversations.update(made.id, metadata={"mood": "good"})
    assert changed == Conversation(**{**made.model_dump(), "metadata": {"mood": "good"}})
    assert client.conversations.items.delete(first.id, conversation_id=made.id) == changed
    with pytest.raises(NotFoundError):
        client.conversations.items.retrieve(first.id, conversation_id=made.id)
    assert texts(client, made.id) == ["Hi there"]
    gone = client.conversations.delete(made.id)
    assert gone.model_dump() == {"id": made.id, "object": "conversation.deleted", "deleted": True}
    with pytest.raises(NotFoundError):
        client.conversations.retrieve(made.id)


def test_a_conversation_may_begin_with_nothing(client: OpenAI, http: httpx.Client) -> None:
    made = client.conversations.create()
    assert made.metadata == {}
    page = client.conversations.items.list(made.id)
    assert (page.data, page.has_more) == ([], False)
    assert http.post("/v1/conversations").status_code == 200
    assert http.post("/v1/conversations", json={"items": None, "metadata": None}).status_code == 200


def test_every_kind_of_item_comes_back(client: OpenAI) -> None:
    given: list[Any] = [example(kind) for kind in EXAMPLES]
    made = client.conversations.create()
    added = client.conversations.items.create(made.id, items=given)
    assert (added.object, added.has_more) == ("list", False)
    assert (added.first_id, added.last_id) == (added.data[0].id, added.data[-1].id)
    assert [item.type for item in added.data] == list(EXAMPLES)
    listed = list(client.conversations.items.list(made.id, order="asc"))
    assert listed == added.data
    for item in listed:
        OFFICIAL.validate_python(item.model_dump(exclude_unset=True))
        assert client.conversations.items.retrieve(item.id, conversation_id=made.id) == item


def test_what_is_included(client: OpenAI) -> None:
    image: Any = {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"}
    made = client.conversations.create()
    ask: Any = {"include": ["message.input_image.image_url"]}
    items: list[Any] = [message("", content=[image])]
    (whole,) = client.conversations.items.create(made.id, items=items, **ask).data
    assert whole.model_dump(exclude_unset=True)["content"] == [image]
    less = {"type": "input_image", "detail": "auto"}
    (row,) = client.conversations.items.list(made.id)
    assert row.model_dump(exclude_unset=True)["content"] == [less]
    (row,) = client.conversations.items.list(made.id, **ask)
    assert row == whole
    one = client.conversations.items.retrieve(row.id, conversation_id=made.id, **ask)
    assert one == whole
    wrong: Any = ["message.smell"]
    for call in (
        lambda: client.conversations.items.list(made.id, include=wrong),
        lambda: client.conversations.items.create(made.id, items=items, include=wrong),
        lambda: client.conversations.items.retrieve(row.id, conversation_id=made.id, include=wrong),
    ):
        with pytest.raises(BadRequestError, match=r"message\.smell") as caught:
            call()
        assert caught.value.param == "include"


def test_lists_have_an_order_and_pages(client: OpenAI) -> None:
    made = converse(client, *"abcde")
    assert texts(client, made.id) == list("edcba")
    assert texts(client, made.id, order="asc", limit=2) == list("abcde")
    page = client.conversations.items.list(made.id, limit=2)
    assert (len(page.data), page.has_more) == (2, True)
    assert texts(client, made.id, after=page.last_id) == list("cba")
    for after in ("msg_never", "a\0b", "x" * 3000):
        with pytest.raises(NotFoundError) as caught:
            client.conversations.items.list(made.id, after=after)
        assert caught.value.param == "after"


def test_a_list_goes_on_while_its_items_are_deleted(client: OpenAI) -> None:
    made = converse(client, *"abcdef")
    for item in client.conversations.items.list(made.id, limit=2):
        client.conversations.items.delete(item.id, conversation_id=made.id)
    assert texts(client, made.id) == []


def test_more_than_one_message_of_the_bus_comes_in_pages(client: OpenAI) -> None:
    made = client.conversations.create()
    for n in range(6):
        client.conversations.items.create(made.id, items=[message(f"{n}" * 400_000)])  # type: ignore[list-item]
    page = client.conversations.items.list(made.id, limit=100, order="asc")
    assert (len(page.data), page.has_more) == (1, True)
    assert [text[0] for text in texts(client, made.id, order="asc", limit=100)] == list("012345")


def test_writers_at_once_lose_nothing(mesh: RunningMesh) -> None:
    """Eight turns at once leave sixteen items, the two of a turn together, in one order wherever one asks."""
    with connect(mesh) as client:
        made = client.conversations.create()

    def turn(number: int) -> None:
        with connect(mesh) as own:
            said: list[Any] = [
                message(f"question {number}"),
                {"role": "assistant", "content": f"answer {number}"},
            ]
            own.conversations.items.create(made.id, items=said)

    def read(order: Any) -> list[str]:
        with connect(mesh) as own:
            return texts(own, made.id, order=order, limit=5)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(turn, range(8)))
        seen = list(pool.map(read, ["asc", "desc"] * 8))
    assert sorted(seen[0]) == sorted(f"{who} {n}" for n in range(8) for who in ("question", "answer"))
    assert all(one == seen[0] for one in seen[::2])
    assert all(one == seen[0][::-1] for one in seen[1::2])
    for question, answer in zip(seen[0][::2], seen[0][1::2], strict=True):
        assert question.replace("question", "answer") == answer


def test_an_id_that_is_taken_is_refused(client: OpenAI) -> None:
    made = client.conversations.create(items=[message("one", id="msg_mine")])  # type: ignore[list-item]
    with pytest.raises(BadRequestError, match="'msg_mine' already"):
        client.conversations.items.create(made.id, items=[message("two"), message("three", id="msg_mine")])  # type: ignore[list-item]
    assert texts(client, made.id) == ["one"]
    other = client.conversations.create(items=[message("two", id="msg_mine")])  # type: ignore[list-item]
    assert texts(client, other.id) == ["two"]


def test_bad_items_are_refused_with_their_field(client: OpenAI) -> None:
    made = client.conversations.create()
    cases: list[tuple[list[Any], str]] = [
        ([], "items"),
        ([message("x")] * 21, "items"),
        (["x"], "items.0"),
        ([message("x"), {"type": "item_reference", "id": "msg_1"}], "items[1].type"),
        ([{"type": "dream"}], "items[0].type"),
        ([message("x" * 600_000)], "items[0]"),
    ]
    for items, param in cases:
        with pytest.raises(BadRequestError) as caught:
            client.conversations.items.create(made.id, items=items)
        assert caught.value.param == param
    assert texts(client, made.id) == []
    with pytest.raises(BadRequestError):
        client.conversations.create(items=[message("x")] * 21)  # type: ignore[list-item]


@pytest.mark.parametrize(
    "metadata",
    [{f"k{n}": "v" for n in range(17)}, {"k" * 65: "v"}, {"k": "v" * 513}, {"k": 1}, {"k": "a\0"}, {"k": [[[]]]}],
)
def test_metadata_has_bounds(client: OpenAI, metadata: Any) -> None:
    made = client.conversations.create(metadata={f"k{n}": "v" * 512 for n in range(16)})
    for call in (
        lambda: client.conversations.create(metadata=metadata),
        lambda: client.conversations.update(made.id, metadata=metadata),
    ):
        with pytest.raises(BadRequestError) as caught:
            call()
        assert caught.value.param == "metadata"
    assert client.conversations.update(made.id, metadata=None).metadata == {}


def test_bodies_that_cannot_be_kept_are_refused(http: httpx.Client) -> None:
    made = http.post("/v1/conversations").json()["id"]
    deep = '{"items": [{"role": "user", "content": "x", "y": ' + "[" * 5000 + "]" * 5000 + "}]}"
    shallow = '{"items": [{"role": "user", "content": "x", "y": ' + "[" * 150 + "]" * 150 + "}]}"
    for body in (
        "{", "[]", "null", "7", '{"items": 1}', '{"items": [{"role": "user", "content": "\\ud800"}]}',
        '{"items": [{"role": "user", "content": "x", "y": NaN}]}', deep, shallow, '{"items": [null]}', b"\xff",
    ):  # fmt: skip
        for path in ("/v1/conversations", f"/v1/conversations/{made}/items"):
            answer = http.post(path, content=body)
            assert answer.status_code == 400, (path, body[:80], answer.text)
            assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert http.post(f"/v1/conversations/{made}/items", content=b" " * (1024 * 1024 + 1)).status_code == 413
    full = {"items": [{"role": "user", "content": "x" * 250_000}] * 4}
    assert http.post(f"/v1/conversations/{made}/items", json=full).status_code == 413
    assert http.get(f"/v1/conversations/{made}/items").json()["data"] == []
    for params in ({"limit": 0}, {"limit": 101}, {"order": "up"}, {"include": "x"}, {"include[]": "x"}):
        assert http.get(f"/v1/conversations/{made}/items", params=params).status_code == 400
    assert http.get("/v1/conversations").status_code == 405


def test_numbers_come_back_as_they_were_written(http: httpx.Client) -> None:
    item = {"type": "function_call_output", "call_id": "c", "output": "1", "n": [0.1, 1e300, 2**63, -1]}
    made = http.post("/v1/conversations", json={"items": [item]}).json()["id"]
    assert http.get(f"/v1/conversations/{made}/items").json()["data"][0]["n"] == item["n"]


def test_another_tenant_sees_nothing(client: OpenAI, stranger: OpenAI) -> None:
    made = converse(client, "secret", metadata={"mine": "yes"})
    (item,) = client.conversations.items.list(made.id)
    for who, talk in ((stranger, made.id), (client, NOWHERE), (client, "conv_x"), (client, "a\0b")):
        for call in (
            lambda who=who, talk=talk: who.conversations.retrieve(talk),
            lambda who=who, talk=talk: who.conversations.update(talk, metadata={}),
            lambda who=who, talk=talk: who.conversations.delete(talk),
            lambda who=who, talk=talk: who.conversations.items.list(talk),
            lambda who=who, talk=talk: who.conversations.items.create(talk, items=[message("x")]),
            lambda who=who, talk=talk: who.conversations.items.retrieve(item.id, conversation_id=talk),
            lambda who=who, talk=talk: who.conversations.items.delete(item.id, conversation_id=talk),
        ):
            with pytest.raises(NotFoundError) as caught:
                call()
            assert caught.value.param == "conversation_id"
    assert client.conversations.retrieve(made.id).metadata == {"mine": "yes"}
    assert texts(client, made.id) == ["secret"]
    for call in (
        lambda: client.conversations.items.retrieve("msg_no", conversation_id=made.id),
        lambda: client.conversations.items.delete("msg_no", conversation_id=made.id),
    ):
        with pytest.raises(NotFoundError) as caught:
            call()
        assert caught.value.param == "item_id"


def test_older_clients_find_the_same_below_their_prefix(http: httpx.Client) -> None:
    old = "/v1/openai/v1/conversations"
    large = {"items": [{"role": "user", "content": "x" * 500_000}]}
    made = http.post(old, json=large).json()
    assert http.get(f"{old}/{made['id']}").json() == made
    assert len(http.get(f"{old}/{made['id']}/items").json()["data"]) == 1
    assert http.get(f"/v1/conversations/{made['id']}").json() == made
    assert http.delete(f"{old}/{made['id']}").json()["deleted"] is True


def test_nobody_asks_without_a_key(mesh: RunningMesh) -> None:
    assert httpx.post(f"{mesh.url}/v1/conversations").status_code == 401
    assert httpx.post(f"{mesh.url}/v1/conversations", content=b"{").status_code == 401


def test_the_document_names_the_routes(http: httpx.Client) -> None:
    paths = http.get("/openapi.json").json()["paths"]
    assert set(paths["/v1/conversations/{conversation}"]) == {"get", "post", "delete"}
    assert set(paths["/v1/conversations/{conversation}/items"]) == {"get", "post"}
    assert set(paths["/v1/conversations/{conversation}/items/{item}"]) == {"get", "delete"}
    assert "items" in str(paths["/v1/conversations"]["post"]["requestBody"])


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.long
def test_what_was_confirmed_is_there_whatever_is_killed(mesh: RunningMesh) -> None:
    """PostgreSQL, then an agents service, die under writers: who is told that an item is kept finds it, once."""
    with connect(mesh) as client:
        made = client.conversations.create()
    for victim in ("postgres", next(c["name"] for c in mesh.state["children"] if c["name"].startswith("agents"))):
        kept: list[str] = []

        def write(number: int, victim: str = victim, kept: list[str] = kept) -> int:
            with connect(mesh) as own:
                try:
                    own.conversations.items.create(made.id, items=[message(f"{victim} {number}")])  # type: ignore[list-item]
                except APIStatusError as error:
                    return error.status_code
                kept.append(f"{victim} {number}")
                return 200

        with ThreadPoolExecutor(8) as pool:
            pending = [pool.submit(write, n) for n in range(20)]
            mesh.kill9(victim)
            pending += [pool.submit(write, n) for n in range(20, 60)]
            assert {one.result() for one in pending} <= {200, 503, 504}
        mesh.until(lambda: write(99) == 200, 30)
        mesh.until(mesh.all_ready)
        with connect(mesh, retries=2) as client:
            found = [text for text in texts(client, made.id, limit=100) if text.startswith(victim)]
        assert len(found) == len(set(found))
        assert set(kept) <= set(found)


def test_the_calls_of_the_document_work(client: OpenAI, capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(__file__).parents[2] / "docs" / "conversations.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(code, {"client": client})
    assert re.fullmatch(r"msg_\w+ What is the capital of France\?\nmsg_\w+ Paris\.\n", capsys.readouterr().out)
