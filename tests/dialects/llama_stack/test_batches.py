"""Batches of every generation over a real mesh."""

from __future__ import annotations

from typing import Any

import httpx2 as httpx
import pytest

HELLO = [{"role": "user", "content": "hello"}]
WORDS = "w0 w1 w2 w3 "
CHATS = [
    "/batch_inference/chat_completion",
    "/alpha/batch-inference/chat-completion",
    "/v1/batch-inference/chat-completion",
    "/v1/inference/batch-chat-completion",
]
TEXTS = [
    "/batch_inference/completion",
    "/alpha/batch-inference/completion",
    "/v1/batch-inference/completion",
    "/v1/inference/batch-completion",
]
TOOL = {"tool_name": "weather", "parameters": {"city": {"param_type": "str", "required": True}}}


def answered(http: httpx.Client, path: str, **asked: Any) -> list[dict[str, Any]]:
    """The messages of a batch of chats, in whichever field the generation has them."""
    answer = http.post(path, json=asked)
    made = answer.json()
    assert answer.status_code == 200, made
    assert list(made) == ["batch" if path.startswith("/v1") else "completion_message_batch"]
    return [row.get("completion_message", row) for row in next(iter(made.values()))]


@pytest.mark.parametrize("path", CHATS)
def test_chats_are_answered_together(http: httpx.Client, path: str) -> None:
    chats = [[{"role": "user", "content": f"batch {number}"}] for number in range(12)]
    rows = answered(http, path, model="plain", messages_batch=chats)
    assert [row["content"] for row in rows] == [WORDS] * 12


@pytest.mark.parametrize("path", TEXTS)
def test_texts_are_answered_together(http: httpx.Client, path: str) -> None:
    rows = answered(http, path, model="plain", content_batch=["once", "twice"])
    assert [(row["content"], row["stop_reason"]) for row in rows] == [(WORDS, "end_of_turn")] * 2


@pytest.mark.parametrize("path", CHATS)
def test_answers_keep_the_order_of_their_questions(http: httpx.Client, path: str) -> None:
    chats = [[{"role": "user", "content": f"say {number}"}] for number in range(12)]
    rows = answered(http, path, model="up/agent", messages_batch=chats)
    assert [row["content"] for row in rows] == [str(number) for number in range(12)]


@pytest.mark.parametrize("path", CHATS)
def test_tools_are_called_in_each_of_them(http: httpx.Client, path: str) -> None:
    rows = answered(http, path, model="up/tools", messages_batch=[HELLO, HELLO], tools=[TOOL])
    calls = [call for row in rows for call in row["tool_calls"]]
    assert [(call["tool_name"], call["arguments"]) for call in calls] == [("weather", {"city": "Paris"})] * 2
    assert {row["stop_reason"] for row in rows} == {"end_of_message"}


@pytest.mark.parametrize("path", [*CHATS, *TEXTS])
def test_one_that_fails_is_the_answer_of_all(http: httpx.Client, path: str) -> None:
    asked: dict[str, Any] = {"messages_batch": [HELLO, HELLO], "content_batch": ["a", "b"]}
    many = "messages_batch" if path in CHATS else "content_batch"
    refused = http.post(path, json={"model": "up/status-503", many: asked[many]})
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "upstream_error")
    nothing = http.post(path, json={"model": "plain", many: []})
    assert (nothing.status_code, nothing.json()["error"]["param"]) == (400, many)
    once = http.post(path, json={"model": "plain", many: asked[many]}, headers={"Idempotency-Key": "k"})
    assert once.status_code == 400


def test_the_field_that_is_wrong_is_named(http: httpx.Client) -> None:
    chats: list[Any] = [HELLO, [{"role": "user"}]]
    wrong = http.post(CHATS[3], json={"model_id": "plain", "messages_batch": chats})
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "messages_batch.1.0.content")
