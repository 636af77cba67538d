"""Interactions by Google's own SDK, in front of the scripted upstream."""

from __future__ import annotations

import json
import sys

from google import genai
from google.genai import types

client = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=sys.argv[1]))
create = client.interactions.create
TOOL = {
    "type": "function",
    "name": "weather",
    "description": "The weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}

first = create(model="up/plain", input="hello")
second = create(model="up/plain", input="again", previous_interaction_id=first.id)
events = list(create(model="up/plain", input="hello", stream=True))
asked = create(model="up/agent", input='weather {"city":"Oslo"}', tools=[TOOL])
call = next(step for step in asked.steps if step.type == "function_call")
result = {
    "type": "function_result",
    "call_id": call.id,
    "name": call.name,
    "result": f"sunny in {call.arguments['city']}",
}
answered = create(model="up/agent", input=[result], previous_interaction_id=asked.id, tools=[TOOL])
again = client.interactions.get(first.id)
client.interactions.delete(first.id)
gone = ""
try:
    client.interactions.get(first.id)
except Exception as error:  # noqa: BLE001 - the SDK keeps its classes private
    gone = type(error).__name__
print(
    json.dumps(
        {
            "whole": [first.output_text, first.status, first.usage.total_tokens],
            "goes on": [second.output_text, second.previous_interaction_id == first.id],
            "a stream": "".join(e.delta.text for e in events if e.event_type == "step.delta"),
            "its events": [events[0].event_type, events[-1].event_type, events[-1].interaction.status],
            "a call": [asked.status, call.name, call.arguments],
            "its result": answered.output_text,
            "kept": again.output_text,
            "gone": gone,
        }
    )
)
