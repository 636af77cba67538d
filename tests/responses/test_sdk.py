"""The official SDK puts the events together to the same object."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest
from openai import OpenAI, omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from tests.responses.chat import call, stream, texts
from tests.responses.writing import CUSTOM, FUNCTIONS, written

_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
SCENARIOS = {
    "text": [*texts("Hel", "lo")],
    "reasoning": [{"reasoning": "Hm"}, *texts("42")],
    "refusal": [{"refusal": "no"}],
    "tools": [
        *texts("I look."),
        call(0, "", id="c1", name="weather"),
        call(1, "", id="c2", name="clock"),
        call(0, '{"a"'),
        call(1, '{"b":2}'),
        call(0, ":1}"),
    ],
    "custom": [call(0, '{"input":"hi"}', id="c1", name="shout")],
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_sdk_reaches_the_same_object(name: str) -> None:
    data, _turns = written(stream(*SCENARIOS[name]), tools=[*FUNCTIONS, CUSTOM])
    state: ResponseStreamState[None] = ResponseStreamState(input_tools=omit, text_format=omit)
    events = [orjson.loads(block.partition(b"\ndata: ")[2]) for block in data.split(b"\n\n") if block]
    for event in events:
        state.handle_event(_EVENT.validate_python(event))
    done = state._completed_response
    assert done is not None
    told = events[-1]["response"]
    assert [without_parsed(item.to_dict()) for item in done.output] == told["output"]
    assert done.output_text == "".join(e.get("delta", "") for e in events if e["type"].endswith("output_text.delta"))
    accumulated = state._ResponseStreamState__current_snapshot  # type: ignore[attr-defined]
    for one, other in zip(accumulated.output, told["output"], strict=True):
        if other["type"] == "message" and other["content"][0]["type"] == "output_text":
            assert one.content[0].text == other["content"][0]["text"]
        if other["type"] == "function_call":
            assert one.arguments == other["arguments"]


def test_the_sdks_client_reads_the_bytes() -> None:
    data, _turns = written(stream(*SCENARIOS["tools"]), tools=FUNCTIONS, stream=True)
    answer = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=data)
    http = httpx.Client(transport=httpx.MockTransport(lambda _request: answer))
    client = OpenAI(api_key="k", base_url="http://caravan.test/v1", http_client=http)
    with client, client.responses.stream(model="m", input="Hello") as events:
        seen = [event.type for event in events]
        done = events.get_final_response()
    assert seen[0] == "response.created" and seen[-1] == "response.completed"
    assert len(seen) == data.count(b"event: ")
    assert [item.type for item in done.output] == ["message", "function_call", "function_call"]


def without_parsed(item: dict[str, Any]) -> dict[str, Any]:
    """Without what the SDK adds for those who ask it to read JSON."""
    for part in item.get("content", []):
        part.pop("parsed", None)
    item.pop("parsed_arguments", None)
    return item
