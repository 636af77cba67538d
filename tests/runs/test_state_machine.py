"""Every kind of response, as a stream: each event is one of the SDK's, and comes when it may; see
:mod:`tests.responses.machine`. What was streamed is what is kept, and is streamed again byte for byte."""

from __future__ import annotations

import json
import threading
from typing import Any

import httpx2 as httpx
import pytest
from openai import OpenAI
from openai.types.responses import Response

from tests.responses.machine import Machine, follow

WEATHER, CLOCK = (
    {"type": "function", "name": name, "parameters": {"type": "object", "properties": {}}, "strict": False}
    for name in ("weather", "clock")
)
SHOUT = {"type": "custom", "name": "shout"}


def shop(url: str, **more: Any) -> dict[str, Any]:
    return {"type": "mcp", "server_label": "shop", "server_url": url, "require_approval": "never", **more}


def plan(*steps: str) -> str:
    """What the model `agent` is told to do."""
    return " ; ".join(steps)


def add(a: int, b: int) -> str:
    return f"shop__add {json.dumps({'a': a, 'b': b})}"


def streamed(gateways: list[httpx.Client], model: str, input: Any = "hello", **more: Any) -> Machine:
    """All events of a response, checked, and what is told of it afterwards."""
    body = {"model": f"up/{model}", "input": input, "stream": True, **more}
    answer = gateways[0].post("/v1/responses", json=body)
    assert answer.status_code == 200, answer.text
    return checked(gateways, answer.content)


def checked(gateways: list[httpx.Client], events: bytes) -> Machine:
    machine = follow(events)
    path = f"/v1/responses/{machine.id}"
    kept = gateways[1].get(path)
    assert Response.model_validate(kept.json()).id == machine.id and kept.json() == machine.terminal
    again = gateways[1].get(path, params={"stream": "true"}).content
    assert without_comments(again) == without_comments(events)
    return machine


def without_comments(events: bytes) -> bytes:
    """They stand where nothing came for a while."""
    return b"".join(event + b"\n\n" for event in events.split(b"\n\n")[:-1] if not event.startswith(b":"))


def types(machine: Machine) -> list[str]:
    assert machine.terminal is not None
    return [item["type"] for item in machine.terminal["output"]]


def status(machine: Machine) -> str:
    assert machine.terminal is not None
    return str(machine.terminal["status"])


def names(machine: Machine) -> list[str]:
    return [event["type"].removeprefix("response.") for event in machine.events]


@pytest.fixture(params=[False, True], ids=["foreground", "background"])
def background(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_text(gateways: list[httpx.Client], background: bool) -> None:
    machine = streamed(gateways, "plain", background=background)
    assert types(machine) == ["message"]
    assert names(machine) == [
        "created",
        *(["queued"] if background else []),
        "in_progress",
        "output_item.added",
        "content_part.added",
        *["output_text.delta"] * 4,
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]


def test_the_sdk_reads_the_same_events(client: OpenAI) -> None:
    with client.responses.stream(model="up/plain", input="hello") as stream:
        seen = [event.type for event in stream]
        made = stream.get_final_response()
    assert made.output_text == "w0 w1 w2 w3 " and seen[0] == "response.created" and seen[-1] == "response.completed"
    assert "response.output_text.done" in seen


def test_a_function(gateways: list[httpx.Client], background: bool) -> None:
    given = plan('weather {"city":"Paris"}')
    machine = streamed(gateways, "agent", given, tools=[WEATHER], background=background)
    assert types(machine) == ["function_call"]
    assert names(machine)[-5:] == [
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]


def test_functions_side_by_side(gateways: list[httpx.Client], background: bool) -> None:
    given = plan('weather {"city":"Paris"} & clock {"zone":"CET"} & weather {"city":"Rome"}')
    machine = streamed(gateways, "agent", given, tools=[WEATHER, CLOCK], background=background)
    assert machine.terminal is not None
    calls = [(item["name"], item["arguments"]) for item in machine.terminal["output"]]
    assert calls == [("weather", '{"city": "Paris"}'), ("clock", '{"zone": "CET"}'), ("weather", '{"city": "Rome"}')]
    of_calls = [event for event in machine.events if "function_call_arguments" in event["type"]]
    assert {event["output_index"] for event in of_calls} == {0, 1, 2}


def test_a_custom_tool(gateways: list[httpx.Client]) -> None:
    machine = streamed(gateways, "agent", plan('shout {"input":"hey"}'), tools=[SHOUT])
    assert types(machine) == ["custom_tool_call"]
    assert machine.terminal is not None and machine.terminal["output"][0]["input"] == "hey"
    assert "custom_tool_call_input.done" in names(machine)


def test_calls_around_words_in_one_answer(gateways: list[httpx.Client], background: bool) -> None:
    machine = streamed(gateways, "mixed", tools=[WEATHER, CLOCK], background=background)
    assert sorted(types(machine)) == ["function_call", "function_call", "message"]
    assert status(machine) == "completed"


def test_tools_of_a_server(gateways: list[httpx.Client], shop_url: str, background: bool) -> None:
    given = plan(f"{add(1, 2)} & {add(3, 4)} & shop__fail", add(5, 6), "say done")
    machine = streamed(gateways, "agent", given, tools=[shop(shop_url)], background=background)
    assert types(machine) == ["mcp_list_tools", *["mcp_call"] * 4, "message"]
    assert machine.terminal is not None
    calls = machine.terminal["output"][1:5]
    assert [call["output"] for call in calls] == ["3", "7", None, "11"]
    assert [call["status"] for call in calls] == ["completed", "completed", "failed", "completed"]
    assert names(machine).count("mcp_call_arguments.done") == 4
    ends = {event["output_index"]: event for event in machine.events if event["type"].startswith("response.mcp_call.")}
    assert ends[1]["type"] == "response.mcp_call.completed" and ends[3]["type"] == "response.mcp_call.failed"
    assert all(event["item_id"] == calls[index - 1]["id"] for index, event in ends.items())


def test_words_between_the_calls_of_a_server(gateways: list[httpx.Client], shop_url: str, background: bool) -> None:
    given = plan(add(1, 2), f"say so far | {add(3, 4)} & {add(5, 6)}", "say done")
    machine = streamed(gateways, "agent", given, tools=[shop(shop_url)], background=background)
    assert types(machine) == ["mcp_list_tools", "mcp_call", "message", "mcp_call", "mcp_call", "message"]
    assert status(machine) == "completed"


def test_a_call_that_needs_an_approval(gateways: list[httpx.Client], shop_url: str, background: bool) -> None:
    tools = [shop(shop_url, require_approval="always")]
    machine = streamed(gateways, "agent", plan(add(1, 2)), tools=tools, background=background)
    assert types(machine) == ["mcp_list_tools", "mcp_approval_request"] and machine.terminal is not None
    asked = machine.terminal["output"][1]["id"]
    answer = {"type": "mcp_approval_response", "approval_request_id": asked, "approve": True}
    again = {"previous_response_id": machine.id, "tools": tools, "background": background}
    machine = streamed(gateways, "agent", [answer], **again)
    assert types(machine) == ["mcp_call", "message"] and machine.terminal is not None
    assert machine.terminal["output"][0]["output"] == "3"


def test_tools_that_cannot_be_listed(gateways: list[httpx.Client], background: bool) -> None:
    tools = [shop("http://localhost:9/mcp")]
    machine = streamed(gateways, "agent", plan(add(1, 2)), tools=tools, background=background)
    assert "mcp_list_tools.failed" in names(machine) and status(machine) == "failed"


def test_a_search(gateways: list[httpx.Client], background: bool) -> None:
    given = plan(
        'web_search {"query":"camels"} & web_search {"query":"routes"}',
        "say see [Camels](https://desert.example/camels)",
    )
    machine = streamed(gateways, "agent", given, tools=[{"type": "web_search"}], background=background)
    assert types(machine) == ["web_search_call", "web_search_call", "message"] and machine.terminal is not None
    (annotation,) = machine.terminal["output"][2]["content"][0]["annotations"]
    assert annotation["type"] == "url_citation" and annotation["url"] == "https://desert.example/camels"
    assert names(machine).count("output_text.annotation.added") == 1


@pytest.mark.parametrize("summary", [None, "auto"])
def test_reasoning(gateways: list[httpx.Client], summary: str | None, background: bool) -> None:
    machine = streamed(gateways, "thinking", reasoning={"summary": summary}, background=background)
    assert types(machine) == ["reasoning", "message"]
    kind = "reasoning_summary_text" if summary else "reasoning_text"
    assert f"{kind}.delta" in names(machine) and f"{kind}.done" in names(machine)


def test_a_refusal(gateways: list[httpx.Client], background: bool) -> None:
    machine = streamed(gateways, "refusing", background=background)
    assert machine.terminal is not None
    assert machine.terminal["output"][0]["content"] == [{"type": "refusal", "refusal": "I will not."}]
    assert names(machine).count("refusal.delta") == 2 and "refusal.done" in names(machine)


@pytest.mark.parametrize(("model", "reason"), [("short", "max_output_tokens"), ("filtered", "content_filter")])
def test_an_answer_that_is_incomplete(gateways: list[httpx.Client], model: str, reason: str, background: bool) -> None:
    machine = streamed(gateways, model, max_output_tokens=16, background=background)
    assert machine.terminal is not None and names(machine)[-1] == "incomplete"
    assert machine.terminal["incomplete_details"] == {"reason": reason}
    assert machine.terminal["output"][0]["status"] == "incomplete"


@pytest.mark.parametrize("model", ["status-400", "nofinish", "inband-2"])
def test_an_answer_that_fails_in_the_background(gateways: list[httpx.Client], model: str) -> None:
    """Before its first word, at its end, and in the middle, whenever it is asked again."""
    machine = streamed(gateways, model, background=True)
    assert names(machine)[-1] == "failed" and machine.terminal is not None
    assert machine.terminal["error"]["code"] and machine.terminal["error"]["message"]


@pytest.mark.parametrize("model", ["inband-2", "cut-3", "nofinish"])
def test_an_answer_that_fails_in_the_middle(gateways: list[httpx.Client], model: str) -> None:
    machine = streamed(gateways, model)
    assert names(machine)[-1] == "failed" and types(machine) == ["message"]


def test_an_answer_that_fails_behind_its_tools(gateways: list[httpx.Client], shop_url: str) -> None:
    machine = streamed(gateways, "status-400", tools=[shop(shop_url)])
    assert names(machine)[-1] == "failed" and types(machine) == ["mcp_list_tools"]


def test_a_stream_that_is_cancelled(gateways: list[httpx.Client], client: OpenAI) -> None:
    body = {"model": "up/slow-50", "input": "x", "stream": True, "background": True, "max_output_tokens": 500}
    with gateways[0].stream("POST", "/v1/responses", json=body) as answer:
        pieces = answer.iter_bytes()
        seen = b""
        while b"output_text.delta" not in seen:
            seen += next(pieces)
        name = seen.partition(b'"id":"')[2].partition(b'"')[0].decode()
        cancelling = threading.Thread(target=client.responses.cancel, args=[name])
        cancelling.start()
        seen += b"".join(pieces)
        cancelling.join()
    machine = checked(gateways, seen)
    assert status(machine) == "cancelled" and types(machine) == ["message"]
