"""The OpenAI Agents SDK and LangChain with a small model that really speaks, whole and streamed."""

import asyncio
import json
import sys

from agents import Agent, ModelSettings, OpenAIResponsesModel, Runner, set_tracing_disabled
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI

set_tracing_disabled(True)
MODEL = "local/SmolLM2-135M-Instruct"
QUESTION = "What is the capital of France? Answer in one sentence."


async def agents_sdk(base: str) -> list:
    client = AsyncOpenAI(base_url=base, api_key="none")
    settings = ModelSettings(temperature=0, max_tokens=24)
    agent = Agent(name="guide", model=OpenAIResponsesModel(MODEL, client), model_settings=settings)
    whole = (await Runner.run(agent, QUESTION)).final_output
    streamed = Runner.run_streamed(agent, QUESTION)
    pieces = []
    async for event in streamed.stream_events():
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
            pieces.append(event.data.delta)
    return [whole, "".join(pieces), len(pieces)]


def langchain(base: str) -> list:
    llm = ChatOpenAI(base_url=base, api_key="none", model=MODEL, use_responses_api=True, temperature=0, max_tokens=24)
    return [llm.invoke(QUESTION).text, "".join(chunk.text for chunk in llm.stream(QUESTION))]


base = sys.argv[1] + "/v1"
print(json.dumps([asyncio.run(agents_sdk(base)), langchain(base)]))
