"""ogx-client 1.5.0, which is generated from OGX's OpenAPI document: OpenAI's API below /v1."""

import json
import sys

from ogx_client import OgxClient
from ogx_client.exceptions import ApiException

client = OgxClient(sys.argv[1])
HELLO = [{"role": "user", "content": "hello"}]
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


def chat(model, **more):
    return client.chat.completions.create(messages=HELLO, model=model, **more)


def told(model, **more):
    """The choices of a stream, as they came: this client gives what it has no type for as it is."""
    pieces = [piece if isinstance(piece, dict) else piece.to_dict() for piece in chat(model, stream=True, **more)]
    return [piece["choices"][0] for piece in pieces if piece.get("choices")]


def said(choices):
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def plain():
    choice = chat("plain", max_tokens=2).choices[0]
    return [choice.message.content, choice.finish_reason]


def stream():
    choices = told("plain")
    return [said(choices), choices[-1]["finish_reason"]]


def tools():
    call = chat("up/tools", tools=[WEATHER]).choices[0].message.tool_calls[0]
    return [call.function.name, json.loads(call.function.arguments)]


def error():
    try:
        chat("nobody-has-this")
    except ApiException as caught:
        return [caught.status, json.loads(caught.body)["error"]["code"]]


def broken():
    """It does not look for errors in a stream; no choice says that the answer is finished."""
    choices = told("up/inband-2")
    return [said(choices), choices[-1].get("finish_reason")]


def responses():
    got = client.responses.create(model="plain", input="hello")
    return got.output[0].actual_instance.content[0].text


def models():
    listed = client.models.list()
    return next(model.id for model in getattr(listed, "data", listed))


def embeddings():
    got = client.embeddings.create(model="text-embed", input=["a", "b"])
    return [row.embedding for row in got.data]


def cancel():
    for _ in chat("up/slow-100", stream=True, max_tokens=300):
        return "left"
    return None


STEPS = (plain, stream, tools, error, broken, responses, models, embeddings, cancel)
print(json.dumps({each.__name__: each() for each in STEPS}))
