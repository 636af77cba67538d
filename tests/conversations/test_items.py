"""What becomes of an item that a client writes."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from caravan_agents.conversations import include
from caravan_agents.conversations.items import check_call, prepare
from caravan_agents.conversations.kinds import ITEMS
from caravan_contracts.conversations import CALL_BYTES
from caravan_contracts.errors import InvalidRequest, RequestTooLarge
from openai.types.conversations import ConversationItem
from pydantic import TypeAdapter

from tests.conversations.examples import EXAMPLES, example, message

ROOM = 10_000
OFFICIAL: TypeAdapter[Any] = TypeAdapter(ConversationItem)


def kept(item: dict[str, Any]) -> dict[str, Any]:
    (made,) = prepare([item], ROOM)
    read: dict[str, Any] = orjson.loads(made.data)
    assert read["id"] == made.id
    return read


def test_there_is_an_example_of_every_kind() -> None:
    assert EXAMPLES.keys() == ITEMS.keys()


@pytest.mark.parametrize("kind", ITEMS)
def test_what_is_kept_is_an_item_of_openais(kind: str) -> None:
    made = kept(example(kind))
    read = OFFICIAL.validate_python(made)
    assert read.type == kind
    assert made["id"].startswith(f"{ITEMS[kind].prefix}_")
    assert len(made["id"].rpartition("_")[2]) == 48
    if ITEMS[kind].status:
        assert made["status"] == "completed"
    else:
        assert "status" not in made
    left = include.shown(made, frozenset())
    assert OFFICIAL.validate_python(left).type == kind


def test_a_string_becomes_one_part() -> None:
    assert kept({"role": "user", "content": "Hi"})["content"] == [{"type": "input_text", "text": "Hi"}]
    assert kept({"role": "assistant", "content": "Ho"})["content"] == [
        {"type": "output_text", "text": "Ho", "annotations": [], "logprobs": []}
    ]


def test_what_is_written_is_kept() -> None:
    parts = [
        {"type": "input_text", "text": "zero \0, \u2028 and \U0001f600"},
        {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"},
        {"type": "input_file", "file_id": "file-1", "filename": "a.pdf"},
    ]
    made = kept(message("", content=parts, id="mine", own_field={"a": [1]}))
    assert (made["content"], made["id"], made["own_field"]) == (parts, "mine", {"a": [1]})


def test_a_status_is_one_of_what_is_over() -> None:
    assert kept(example("function_call", status="in_progress"))["status"] == "completed"
    assert kept(example("message", status="incomplete"))["status"] == "incomplete"
    assert kept(example("mcp_call", status="failed"))["status"] == "failed"


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({}, "items[0].type"),
        ({"type": "telepathy"}, "items[0].type"),
        ({"type": ["message"]}, "items[0].type"),
        ({"type": "item_reference", "id": "msg_1"}, "items[0].type"),
        (message("x", role="king"), "items[0].role"),
        (message("x", role={}), "items[0].role"),
        ({"type": "message", "role": "user"}, "items[0].content"),
        (message("x", content=[1]), "items[0].content[0]"),
        (message("x", content=[{"type": "input_text", "text": 1}]), "items[0].content[0].text"),
        (message("x", content=[{"type": "smell"}]), "items[0].content[0].type"),
        (message("x", content=[{"type": "input_image"}]), "items[0].content[0]"),
        (message("x", content=[{"type": "input_image", "image_url": {"url": "x"}}]), "items[0].content[0].image_url"),
        (
            message("x", content=[{"type": "output_text", "text": "", "annotations": 1}]),
            "items[0].content[0].annotations",
        ),
        (message("x", id=""), "items[0].id"),
        (message("x", id="a/b"), "items[0].id"),
        (message("x", id="x" * 129), "items[0].id"),
        (message("x", id=7), "items[0].id"),
        (message("x", status="sleeping"), "items[0].status"),
        (message("x" * ROOM), "items[0]"),
        ({"type": "function_call", "name": "look", "arguments": "{}"}, "items[0].call_id"),
        (example("function_call_output", output=5), "items[0].output"),
        (example("function_call_output", output=[{"type": "input_text"}]), "items[0].output[0].text"),
        (example("reasoning", summary=["text"]), "items[0].summary"),
        (example("file_search_call", queries=[1]), "items[0].queries"),
        (example("web_search_call", action="search"), "items[0].action"),
        (example("mcp_approval_response", approve="yes"), "items[0].approve"),
    ],
)
def test_what_is_wrong_is_named(item: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        prepare([item], ROOM)
    assert caught.value.param == param
    assert len(caught.value.message) < 1000


def test_an_id_is_there_once() -> None:
    with pytest.raises(InvalidRequest) as caught:
        prepare([message("a", id="same"), message("b", id="same")], ROOM)
    assert caught.value.param == "items[1].id"


def test_one_call_fits_into_a_message_of_the_bus() -> None:
    items = prepare([message("x" * 400_000)] * 2, 512 * 1024)
    with pytest.raises(RequestTooLarge):
        check_call(items)
    assert CALL_BYTES < 1024 * 1024


def test_what_nobody_asks_for_is_left_out() -> None:
    image = {"type": "input_image", "image_url": "data:x", "detail": "auto"}
    logged = {"type": "output_text", "text": "a", "logprobs": [{"token": "a"}], "annotations": []}
    cases = {
        "message.input_image.image_url": (message("", content=[image]), lambda i: i["content"][0].get("image_url")),
        "message.output_text.logprobs": (message("", content=[logged]), lambda i: i["content"][0]["logprobs"]),
        "file_search_call.results": (example("file_search_call"), lambda i: i.get("results")),
        "web_search_call.results": (example("web_search_call", results=[{}]), lambda i: i.get("results")),
        "web_search_call.action.sources": (example("web_search_call"), lambda i: i["action"].get("sources")),
        "code_interpreter_call.outputs": (example("code_interpreter_call"), lambda i: i.get("outputs")),
        "computer_call_output.output.image_url": (
            example("computer_call_output"),
            lambda i: i["output"].get("image_url"),
        ),
        "reasoning.encrypted_content": (example("reasoning"), lambda i: i.get("encrypted_content")),
    }
    for name, (item, look) in cases.items():
        assert look(include.shown(kept(item), include.check([name]))), name
        assert not look(include.shown(kept(item), frozenset())), name


def test_an_include_that_is_none_is_named() -> None:
    with pytest.raises(InvalidRequest, match=r"'message\.smell'.*reasoning\.encrypted_content"):
        include.check(["message.smell", "reasoning.encrypted_content"])
