"""Agents of LangChain and LangGraph over ChatOpenAI, by chat completions and by responses."""

import json
import sys
import warnings

from langchain.agents import create_agent
from langchain_core.messages import AIMessageChunk
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.prebuilt import create_react_agent
from pydantic import BaseModel

warnings.simplefilter("ignore")


class Place(BaseModel):
    """A place and how warm it is."""

    city: str
    degrees: int


def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


def clock() -> str:
    """What time it is."""
    return "noon"


def asked(text: str) -> dict:
    return {"messages": [{"role": "user", "content": text}]}


def tried(llm: ChatOpenAI) -> dict:
    agent = create_agent(llm, [weather, clock], system_prompt="Be brief.", checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "1"}}
    one = agent.invoke(asked('weather {"city":"Paris"} ; clock'), thread)["messages"]
    two = agent.invoke(asked('weather {"city":"Rome"} & clock'), thread)["messages"]
    older = create_react_agent(llm, [weather]).invoke(asked('weather {"city":"Oslo"}'))["messages"]
    pieces = []
    for piece, _ in agent.stream(asked("clock"), thread, stream_mode="messages"):
        if isinstance(piece, AIMessageChunk):
            pieces.append(piece.text)
    shaped = llm.with_structured_output(Place).invoke('say {"city":"Paris","degrees":21}')
    used = older[-1].usage_metadata["total_tokens"]
    return {
        "two tools": [one[-1].text, len(one)],
        "at once": two[-1].text,
        "the older agent": older[-1].text,
        "a stream": "".join(pieces),
        "an object": shaped.model_dump(),
        "tokens": used,
    }


def main() -> None:
    base = {"base_url": sys.argv[1] + "/v1", "api_key": "none", "model": "up/agent"}
    chained = ChatOpenAI(**base, use_responses_api=True, use_previous_response_id=True)
    made = [tried(ChatOpenAI(**base)), tried(ChatOpenAI(**base, use_responses_api=True)), tried(chained)]
    print(json.dumps(made))


main()
