"""ChatLlamaStack of langchain-llama-stack, of 0.1 (Llama Stack's own API) and of 0.2 (OpenAI's)."""

import inspect
import json
import sys

from langchain_core.messages import HumanMessage
from langchain_llama_stack import ChatLlamaStack
from pydantic import BaseModel

OWN = "client" in ChatLlamaStack.model_fields and "llama_stack_client" in inspect.getsource(
    sys.modules[ChatLlamaStack.__module__]
)
if OWN:
    from llama_stack_client import APIError, APIStatusError
else:
    from openai import APIError, APIStatusError
URL = sys.argv[1] + ("" if OWN else "/v1/openai/v1")
QUESTION = [HumanMessage("weather in Paris?")]


class Weather(BaseModel):
    """The weather in a city."""

    city: str


def llm(model, **more):
    return ChatLlamaStack(model=model, base_url=URL, api_key="none", max_retries=0, **more)


def plain():
    got = llm("plain", max_tokens=2).invoke(QUESTION)
    return [got.content, got.usage_metadata["total_tokens"]]


def stream():
    return "".join(chunk.content for chunk in llm("plain").stream(QUESTION))


def tools():
    got = llm("up/tools").bind_tools([Weather]).invoke(QUESTION)
    return [got.tool_calls[0]["name"], got.tool_calls[0]["args"]]


def error():
    try:
        llm("nobody-has-this").invoke(QUESTION)
    except APIStatusError as caught:
        return caught.status_code


def broken():
    try:
        list(llm("up/inband-2").stream(QUESTION))
    except APIError as caught:
        return type(caught).__name__


def cancel():
    for chunk in llm("up/slow-100", max_tokens=300).stream(QUESTION):
        if chunk.content:
            return "left"
    return None


# 0.1 has no stream of its own: it asks for the whole answer
STEPS = (plain, stream, tools, error) if OWN else (plain, stream, tools, error, broken, cancel)
print(json.dumps({"own": OWN, **{each.__name__: each() for each in STEPS}}))
