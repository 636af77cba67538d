"""The OpenAI Agents SDK: a tool, two of them at once, a handoff, a stream, a session on the server."""

import asyncio
import json
import sys

from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from pydantic import BaseModel

set_tracing_disabled(True)


@function_tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


@function_tool
def clock() -> str:
    """What time it is."""
    return "noon"


class Place(BaseModel):
    city: str
    degrees: int


async def tried(model) -> dict:
    german = Agent(name="German", instructions="Speak German.", model=model, tools=[clock])
    helper = Agent(name="Helper", instructions="Be brief.", model=model, tools=[weather, clock], handoffs=[german])
    one = await Runner.run(helper, 'weather {"city":"Paris"}')
    both = await Runner.run(helper, 'weather {"city":"Rome"} & clock')
    handed = await Runner.run(helper, "transfer_to_german ; clock")
    streamed = Runner.run_streamed(helper, 'weather {"city":"Oslo"}')
    pieces = []
    async for event in streamed.stream_events():
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
            pieces.append(event.data.delta)
    shaped = Agent(name="Shaped", model=model, output_type=Place)
    place = await Runner.run(shaped, 'say {"city":"Paris","degrees":21}')
    again = await Runner.run(helper, [*one.to_input_list(), {"role": "user", "content": "clock"}])
    return {
        "a tool": one.final_output,
        "two tools at once": [both.final_output, len(both.new_items)],
        "a handoff": [handed.final_output, handed.last_agent.name],
        "a stream": ["".join(pieces), streamed.final_output],
        "an object": place.final_output.model_dump(),
        "what was said before": again.final_output,
    }


async def main() -> None:
    client = AsyncOpenAI(base_url=sys.argv[1] + "/v1", api_key="none")
    responses = OpenAIResponsesModel("up/agent", client)
    made = [await tried(responses), await tried(OpenAIChatCompletionsModel("up/agent", client))]
    settings = ModelSettings(store=True, include_usage=True, truncation="auto")
    kept = Agent(name="Kept", model=responses, tools=[weather], model_settings=settings)
    conversation = (await client.conversations.create()).id
    first = await Runner.run(kept, 'weather {"city":"Bonn"}', conversation_id=conversation)
    chained = await Runner.run(kept, "say once more", previous_response_id=first.last_response_id)
    items = [item.type async for item in client.conversations.items.list(conversation, order="asc")]
    remembered = {"in a conversation": first.final_output, "its items": items, "behind it": chained.final_output}
    print(json.dumps([*made, remembered]))


asyncio.run(main())
