"""llama-stack-client 0.3 and later: OpenAI's API below /v1."""

import json
import sys

from llama_stack_client import APIError, APIStatusError, LlamaStackClient

client = LlamaStackClient(base_url=sys.argv[1], max_retries=0)
HELLO = [{"role": "user", "content": "hello"}]
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


def chat(model, **more):
    return client.chat.completions.create(messages=HELLO, model=model, **more)


def plain():
    choice = chat("plain", max_tokens=2).choices[0]
    return [choice.message.content, choice.finish_reason]


def stream():
    pieces = [piece for piece in chat("plain", stream=True) if piece.choices]
    return ["".join(piece.choices[0].delta.content or "" for piece in pieces), pieces[-1].choices[0].finish_reason]


def tools():
    call = chat("up/tools", tools=[WEATHER]).choices[0].message.tool_calls[0]
    told = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    asked = {"role": "assistant", "content": None, "tool_calls": [call.to_dict()]}
    again = client.chat.completions.create(model="plain", messages=[*HELLO, asked, told])
    return [call.function.name, json.loads(call.function.arguments), again.choices[0].message.content]


def streamed_tools():
    pieces = [piece.choices[0] for piece in chat("up/tools", tools=[WEATHER], stream=True) if piece.choices]
    return [pieces[0].delta.tool_calls[0].function.name, pieces[-1].finish_reason]


def error():
    try:
        chat("nobody-has-this")
    except APIStatusError as caught:
        return [caught.status_code, caught.body["error"]["code"]]


def broken():
    """An error that is raised, or (in versions that look for none) an event without choices."""
    try:
        return [bool(piece.choices) for piece in chat("up/inband-2", stream=True)]
    except APIError:
        return [True, True, False]


def responses():
    got = client.responses.create(model="plain", input="hello")
    events = list(client.responses.create(model="plain", input="hello", stream=True))
    return [got.output[0].content[0].text, events[-1].type]


def text():
    return client.completions.create(model="plain", prompt="once").choices[0].text


def models():
    listed = list(client.models.list())
    one = client.models.retrieve("plain")
    return [
        listed[0].id,
        sorted({model.custom_metadata["model_type"] for model in listed}),
        one.custom_metadata["provider_id"],
    ]


def cancel():
    # closed here: its connection pool may wait for itself for ever when Python finds the stream later
    with chat("up/slow-100", stream=True, max_tokens=300) as told:
        for piece in told:
            if piece.choices[0].delta.content:
                return "left"
    return None


STEPS = (plain, stream, tools, streamed_tools, error, broken, responses, text, models, cancel)


def main():
    made = {each.__name__: each() for each in STEPS}
    made["embeddings"] = [row.embedding for row in client.embeddings.create(model="text-embed", input=["a", "b"]).data]
    made["ranked"] = [
        row.index for row in client.alpha.inference.rerank(model="some-reranker", query="q", items=["a", "bbb"])
    ]
    made["health"] = client.inspect.health().status
    made["providers"] = [provider.provider_id for provider in client.providers.list()]
    made["routes"] = len(client.routes.list()) > 10
    print(json.dumps(made))


main()
