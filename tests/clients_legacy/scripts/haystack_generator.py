"""Haystack's LlamaStackChatGenerator, at the path which its version takes by default."""

import inspect
import json
import sys
from urllib.parse import urlsplit

from haystack.dataclasses import ChatMessage
from haystack.tools import Tool
from haystack_integrations.components.generators.llama_stack import LlamaStackChatGenerator
from openai import APIError, APIStatusError

DEFAULT = inspect.signature(LlamaStackChatGenerator.__init__).parameters["api_base_url"].default
URL = sys.argv[1] + urlsplit(DEFAULT).path
QUESTION = [ChatMessage.from_user("What's Natural Language Processing?")]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool(name="weather", description="of a city", parameters=PARAMETERS, function=lambda city: "sunny")


def generator(model, **more):
    return LlamaStackChatGenerator(model=model, api_base_url=URL, max_retries=0, **more)


def plain():
    reply = generator("llama3.2:3b", generation_kwargs={"max_tokens": 2}).run(QUESTION)["replies"][0]
    return [reply.text, reply.meta["model"], reply.meta["finish_reason"], reply.meta["usage"]["total_tokens"]]


def stream():
    pieces = []
    reply = generator("plain").run(QUESTION, streaming_callback=lambda chunk: pieces.append(chunk.content))
    return ["".join(pieces), reply["replies"][0].text]


def tools():
    reply = generator("up/tools", tools=[WEATHER], tools_strict=True).run(QUESTION)["replies"][0]
    call = reply.tool_calls[0]
    told = ChatMessage.from_tool("sunny", origin=call)
    again = generator("plain").run([*QUESTION, reply, told])["replies"][0]
    return [call.tool_name, call.arguments, again.text]


def error():
    try:
        generator("nobody-has-this").run(QUESTION)
    except APIStatusError as caught:
        return [caught.status_code, caught.body["code"]]


def unknown_fields():
    more = {"extra_body": {"safe_prompt": True, "random_seed": 7}}
    return generator("plain", generation_kwargs=more).run(QUESTION)["replies"][0].text


def broken():
    try:
        generator("up/inband-2").run(QUESTION, streaming_callback=lambda chunk: None)
    except APIError as caught:
        return type(caught).__name__


def cancel():
    def leave(chunk):
        if chunk.content:
            raise KeyboardInterrupt

    try:
        generator("up/slow-100", generation_kwargs={"max_tokens": 300}).run(QUESTION, streaming_callback=leave)
    except KeyboardInterrupt:
        return "left"


STEPS = (plain, stream, tools, error, unknown_fields, broken, cancel)
print(json.dumps({each.__name__: each() for each in STEPS}))
