"""pydantic-ai by responses and by chat completions: tools, structured output, streams, history."""

import asyncio
import json
import sys

from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel, OpenAIResponsesModelSettings
from pydantic_ai.providers.openai import OpenAIProvider


class Place(BaseModel):
    city: str
    degrees: int


async def tried(model) -> dict:
    agent = Agent(model, instructions="Be brief.")

    @agent.tool_plain
    def weather(city: str) -> str:
        """The weather in a city."""
        return f"sunny in {city}"

    @agent.tool_plain
    def clock() -> str:
        """What time it is."""
        return "noon"

    one = await agent.run('weather {"city":"Paris"} ; clock')
    again = await agent.run('weather {"city":"Rome"} & clock', message_history=one.all_messages())
    pieces = []
    async with agent.run_stream('weather {"city":"Oslo"}') as streamed:
        async for piece in streamed.stream_text(delta=True):
            pieces.append(piece)
    by_tool = await Agent(model, output_type=Place).run('final_result {"city":"Bonn","degrees":4}')
    native = await Agent(model, output_type=NativeOutput(Place)).run('say {"city":"Rome","degrees":30}')
    return {
        "two tools": one.output,
        "what was said before": again.output,
        "a stream": "".join(pieces),
        "an object by a tool": by_tool.output.model_dump(),
        "an object": native.output.model_dump(),
        "tokens": one.usage.output_tokens,
    }


async def main() -> None:
    provider = OpenAIProvider(base_url=sys.argv[1] + "/v1", api_key="none")
    settings = OpenAIResponsesModelSettings(openai_previous_response_id="auto")
    models = [
        OpenAIResponsesModel("up/agent", provider=provider),
        OpenAIResponsesModel("up/agent", provider=provider, settings=settings),
        OpenAIChatModel("up/agent", provider=provider),
    ]
    print(json.dumps([await tried(model) for model in models]))


asyncio.run(main())
