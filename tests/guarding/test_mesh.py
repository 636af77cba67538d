"""Guardrails in a mesh of three inference workers and two safety services, over HTTP."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2 as httpx
import pytest
from caravan_bus.guarding.ruling import masked

from tests.guarding.saying import SayingUpstream
from tests.guarding.shields import places
from tests.guarding.streams import Client
from tests.guarding.test_streams import told
from tests.mesh.running import RunningMesh
from tests.responses.machine import follow

pytestmark = pytest.mark.usefixtures("mesh")
AT_ONCE = 8
CHUNKINGS = 250
"""Of each action, in chats, responses and messages: fifteen hundred in all."""
BAD = "Where is the moonbase?"


def asked(text: str, seed: int) -> str:
    return json.dumps({"say": text, "seed": seed}, ensure_ascii=False)


def chat(http: httpx.Client, model: str, content: str, **more: Any) -> httpx.Response:
    body = {"model": f"up/{model}", "messages": [{"role": "user", "content": content}], "stream": True, **more}
    return http.post("/v1/chat/completions", json=body)


def in_chat(http: httpx.Client, model: str, content: str) -> tuple[str, str]:
    """What was said, and how it ended."""
    answer = chat(http, model, content)
    assert answer.status_code == 200, answer.text
    got = Client(answer.content)
    assert got.done
    return got.content, got.finished[0]


def in_response(http: httpx.Client, model: str, content: str) -> tuple[str, str]:
    body = {"model": f"up/{model}", "input": content, "stream": True, "store": False}
    answer = http.post("/v1/responses", json=body)
    assert answer.status_code == 200, answer.text
    machine = follow(answer.content)
    made = machine.terminal
    assert made is not None
    texts = [part["text"] for item in made["output"] for part in item.get("content", ()) if "text" in part]
    reason = (made["incomplete_details"] or {}).get("reason")
    return "".join(texts), "stop" if made["status"] == "completed" else str(reason)


def in_message(http: httpx.Client, model: str, content: str) -> tuple[str, str]:
    body = {"model": f"up/{model}", "messages": [{"role": "user", "content": content}], "stream": True}
    answer = http.post("/v1/messages", json={**body, "max_tokens": 4096})
    assert answer.headers["x-caravan-dialect"] == "translated"  # its provider says that it need not be
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert events[-1]["type"] == "message_stop", events[-1]
    said = [event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta"]
    reason = next(event["delta"]["stop_reason"] for event in events if event["type"] == "message_delta")
    return "".join(said), {"end_turn": "stop", "refusal": "content_filter"}[reason]


@pytest.mark.parametrize("say", [in_chat, in_response, in_message])
@pytest.mark.parametrize("model", ["block", "mask"])
def test_nothing_leaks_through_three_workers(
    http: httpx.Client, model: str, say: Callable[[httpx.Client, str, str], tuple[str, str]]
) -> None:
    def check(seed: int) -> None:
        text = told(random.Random(seed))
        found = asyncio.run(places(text, "words", "pii"))
        got, end = say(http, model, asked(text, seed))
        if model == "mask" or not found:
            assert (got, end) == (masked(text, found), "stop")
        else:
            assert end == "content_filter"
            assert text[: found[0].start].startswith(got)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(check, range(CHUNKINGS)))


def test_an_answer_that_does_not_stream_is_judged_too(http: httpx.Client) -> None:
    made = chat(http, "mask", asked("the moonbase", 1), stream=False).json()
    assert made["choices"][0]["message"]["content"] == "the [KEYWORD]"
    made = chat(http, "block", asked("the moonbase", 1), stream=False).json()
    assert made["choices"][0]["finish_reason"] == "content_filter"
    assert made["choices"][0]["message"]["content"] is None
    assert made["caravan"]["shield"] == "words"


def test_a_question_is_blocked_with_an_error(http: httpx.Client) -> None:
    for stream in (True, False):
        answer = chat(http, "ask", BAD, stream=stream)
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert error["code"] == "content_filter"
        assert error["caravan"] == {"guardrail": "asking", "shield": "words", "categories": {"keyword": 1.0}}
    assert chat(http, "ask", "Where is the shop?").status_code == 200


def test_a_guardrail_that_a_message_names_is_read_in_its_translation(http: httpx.Client) -> None:
    def say(content: str, **headers: str) -> httpx.Response:
        body = {"model": "up/plain", "max_tokens": 64, "messages": [{"role": "user", "content": content}]}
        return http.post("/v1/messages", json=body, headers=headers)

    # the upstream has no Messages API, whatever its provider says: what gets there without a guardrail finds nobody
    assert say("Where is the shop?").status_code == 404
    good = say("Where is the shop?", **{"X-Caravan-Guardrails": "strict"})
    assert (good.status_code, good.headers["x-caravan-dialect"]) == (200, "translated")
    bad = say(BAD, **{"X-Caravan-Guardrails": "strict"})
    assert (bad.status_code, bad.json()["error"]["type"]) == (400, "invalid_request_error")


def test_a_guardrail_that_a_request_names_holds_for_responses_too(http: httpx.Client) -> None:
    named = {"X-Caravan-Guardrails": "strict"}
    body = {"model": "up/plain", "input": BAD}
    assert http.post("/v1/responses", json=body).json()["status"] == "completed"
    answer = http.post("/v1/responses", json=body, headers=named)
    assert "moonbase" not in answer.text or answer.json().get("status") == "failed"
    assert answer.status_code == 400 or answer.json()["error"]["code"] == "invalid_prompt"
    answer = http.post("/v1/responses", json=body, headers={"X-Caravan-Guardrails": "no-such"})
    assert "no-such" in answer.text


def test_a_guardrail_that_a_request_names_holds_for_its_run_in_the_background(
    mesh: RunningMesh, http: httpx.Client
) -> None:
    body = {"model": "up/plain", "input": BAD, "background": True, "store": True}

    def ended(headers: dict[str, str]) -> dict[str, Any]:
        begun = http.post("/v1/responses", json=body, headers=headers)
        assert begun.json()["status"] in ("queued", "in_progress"), begun.text
        at = f"/v1/responses/{begun.json()['id']}"
        mesh.until(lambda: http.get(at).json()["status"] not in ("queued", "in_progress"))
        found: dict[str, Any] = http.get(at).json()
        return found

    assert ended({})["status"] == "completed"
    made = ended({"X-Caravan-Guardrails": "strict"})
    assert (made["status"], made["error"]["code"], made["output"]) == ("failed", "invalid_prompt", [])


def test_the_result_of_a_tool_is_judged_on_its_way_to_the_model(http: httpx.Client, upstream: SayingUpstream) -> None:
    call = {"type": "function_call", "call_id": "call_1", "name": "look_up", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "call_1", "output": BAD}
    made = http.post("/v1/responses", json={"model": "up/ask", "input": [call, result], "store": False})
    assert made.status_code == 400 or made.json()["status"] == "failed", made.text
    good = {**result, "output": "Round the corner."}
    made = http.post("/v1/responses", json={"model": "up/ask", "input": [call, good], "store": False})
    assert made.json()["status"] == "completed"
    assert upstream.asked("ask")[-1].body["messages"][-1]["role"] == "tool"


def test_a_filtered_response_is_incomplete_and_kept_as_it_was_told(http: httpx.Client) -> None:
    body = {"model": "up/block", "input": asked("All is well. Look: moonbase!", 3), "stream": True, "store": True}
    answer = http.post("/v1/responses", json=body)
    assert answer.status_code == 200, answer.text
    machine = follow(answer.content)
    assert machine.terminal is not None
    assert machine.terminal["status"] == "incomplete"
    assert machine.terminal["incomplete_details"] == {"reason": "content_filter"}
    kept = http.get(f"/v1/responses/{machine.id}").json()
    assert kept == machine.terminal
    assert "moonbase" not in json.dumps(kept["output"])


def test_a_masked_response_goes_on_elsewhere_with_the_same_words(mesh: RunningMesh, http: httpx.Client) -> None:
    text = "Ask ada@example.com at the moonbase. " * 12
    content = json.dumps({"say": text, "seed": 5, "pause": 0.02})
    body = {"model": "up/mask", "input": content, "stream": True, "store": True}
    data = b""
    with http.stream("POST", "/v1/responses", json=body) as answer:
        for read in answer.iter_bytes():
            if data.count(b"output_text.delta") < 3 <= (data + read).count(b"output_text.delta"):
                mesh.kill9(mesh.busiest("agents"))
            data += read
    machine = follow(data)
    assert machine.terminal is not None
    assert machine.terminal["status"] == "completed"
    made = machine.terminal["output"][-1]["content"][0]["text"]
    assert made == text.replace("ada@example.com", "[EMAIL]").replace("moonbase", "[KEYWORD]")


@pytest.mark.long
def test_shields_that_die_under_load_leave_what_the_policy_says(mesh: RunningMesh, http: httpx.Client) -> None:
    text = "All is well. " * 40
    leak = text + "The moonbase."

    def outcome(seed: int) -> tuple[str, str, str]:
        model = ("shut", "ajar")[seed % 2]
        return (model, *in_chat(http, model, asked(leak, seed)))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        under_way = [pool.submit(outcome, seed) for seed in range(120)]
        mesh.until(lambda: sum(each.done() for each in under_way) > 10)
        for name in ("safety-1", "safety-2"):
            mesh.kill9(name)
        outcomes = [each.result() for each in under_way]
    for model, said, end in outcomes:
        if model == "shut":
            assert (leak.startswith(said), "moonbase" in said, end) == (True, False, "content_filter")
        else:
            assert (said, end) == (leak, "stop") or "moonbase" not in said
    assert any(said == leak for model, said, _ in outcomes if model == "ajar"), "nobody looked, and it passed"
    mesh.until(mesh.all_ready)
    assert "moonbase" not in in_chat(http, "ajar", asked(leak, 1))[0]
    assert mesh.metric("gateway", "caravan_guardrails_total") > 0


@pytest.mark.long
def test_one_shield_worker_that_dies_is_not_missed(mesh: RunningMesh, http: httpx.Client) -> None:
    text = "All is well. " * 20
    mesh.until(mesh.all_ready)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        under_way = [pool.submit(in_chat, http, "mask", asked(text, seed)) for seed in range(80)]
        mesh.until(lambda: sum(each.done() for each in under_way) > 5)
        mesh.kill9("safety-1")
        assert {each.result() for each in under_way} == {(text, "stop")}
