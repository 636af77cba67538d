"""llama-stack-client 0.1 and 0.2: /v1/inference, `model_id`, objects as deltas."""

import json
import sys

from llama_stack_client import APIStatusError, LlamaStackClient
from llama_stack_client.lib.inference.event_logger import EventLogger
from llama_stack_client.types import SystemMessage, UserMessage

client = LlamaStackClient(base_url=sys.argv[1], max_retries=0)
HELLO = [SystemMessage(content="Be brief.", role="system"), UserMessage(content="hello", role="user")]
WEATHER = {
    "tool_name": "weather",
    "description": "of a city",
    "parameters": {"city": {"param_type": "str", "description": "where", "required": True}},
}


def chat(model, **more):
    return client.inference.chat_completion(messages=HELLO, model_id=model, **more)


def plain():
    got = chat(
        "plain", sampling_params={"strategy": {"type": "top_p", "temperature": 0.5, "top_p": 0.9}, "max_tokens": 2}
    )
    return [got.completion_message.content, got.completion_message.stop_reason, got.completion_message.role]


def stream():
    events = [chunk.event for chunk in chat("plain", stream=True)]
    text = "".join(event.delta.text for event in events)
    return [text, [event.event_type for event in events], events[-1].stop_reason]


def logged():
    return "".join(event.content for event in EventLogger().log(chat("plain", stream=True)))


def tools():
    message = chat("up/tools", tools=[WEATHER], tool_choice="auto").completion_message
    call = message.tool_calls[0]
    again = client.inference.chat_completion(
        model_id="plain",
        messages=[
            *HELLO,
            {"role": "assistant", "content": "", "stop_reason": message.stop_reason, "tool_calls": [call.to_dict()]},
            {"role": "tool", "call_id": call.call_id, "content": "sunny"},
        ],
    )
    return [call.tool_name, call.arguments, message.stop_reason, again.completion_message.content]


def streamed_tools():
    events = [chunk.event for chunk in chat("up/tools", stream=True, tools=[WEATHER])]
    last = events[-2].delta
    return [events[1].delta.parse_status, last.parse_status, last.tool_call.arguments, events[-1].stop_reason]


def image():
    picture = {"type": "image", "image": {"url": {"uri": "https://example.org/a.png"}}}
    got = client.inference.chat_completion(
        model_id="plain", messages=[{"role": "user", "content": [{"type": "text", "text": "what is it?"}, picture]}]
    )
    return got.completion_message.content


def error():
    try:
        chat("nobody-has-this")
    except APIStatusError as caught:
        return [caught.status_code, caught.body["error"]["code"]]


def broken():
    kinds = []
    for chunk in chat("up/inband-2", stream=True):
        kinds.append(chunk.event.event_type if getattr(chunk, "event", None) else chunk.error["code"])
    return kinds


def text():
    got = client.inference.completion(content="once", model_id="plain")
    pieces = [chunk.delta for chunk in client.inference.completion(content="once", model_id="plain", stream=True)]
    return [got.content, got.stop_reason, "".join(pieces)]


def models():
    listed = client.models.list()
    one = client.models.retrieve("plain")
    kinds = sorted({model.api_model_type for model in listed})
    return [min(model.identifier for model in listed), kinds, one.identifier, one.provider_id]


def cancel():
    # closed here: its connection pool may wait for itself for ever when Python finds the stream later
    with chat("up/slow-100", stream=True, sampling_params={"strategy": {"type": "greedy"}, "max_tokens": 300}) as told:
        for chunk in told:
            if chunk.event.event_type == "progress":
                return "left"
    return None


def logprobs():
    got = chat("up/logprobs", logprobs={"top_k": 1})
    return got.logprobs[0].logprobs_by_token


def shaped():
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    chat("plain", response_format={"type": "json_schema", "json_schema": schema})
    try:
        chat("plain", response_format={"type": "grammar", "bnf": {}})
    except APIStatusError as caught:
        return [caught.status_code, caught.body["error"]["param"]]


def openai():
    """Generation 4, which this client may speak as well."""
    if not hasattr(client, "chat"):
        return None
    messages = [{"role": "user", "content": "hello"}]
    got = client.chat.completions.create(model="plain", messages=messages)
    pieces = client.chat.completions.create(model="plain", messages=messages, stream=True)
    text = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
    return [got.choices[0].message.content, text]


def absent():
    try:
        client.toolgroups.list()
    except APIStatusError as caught:
        return caught.body["error"]["code"]


def batch():
    if hasattr(client, "batch_inference"):
        return client.batch_inference.chat_completion(messages_batch=[HELLO, HELLO], model="plain").batch
    return client.inference.batch_chat_completion(messages_batch=[HELLO, HELLO], model_id="plain").batch


def shields():
    listed = [shield.identifier for shield in client.shields.list()]
    one = client.shields.retrieve("private")

    def judged(text):
        messages = [UserMessage(content=text, role="user")]
        return client.safety.run_shield(shield_id="private", messages=messages, params={}).violation

    found = judged("write to ada@example.org")
    return [listed, one.type, judged("hello"), found.violation_level, found.metadata["violation_type"]]


STEPS = (plain, stream, logged, tools, streamed_tools, image, error, broken, text, models, cancel, logprobs, shaped)


def main():
    made = {each.__name__: each() for each in (*STEPS, openai, absent, shields)}
    made["embeddings"] = client.inference.embeddings(contents=["a", "b"], model_id="text-embed").embeddings
    made["batch"] = [answer.completion_message.content for answer in batch()]
    made["metrics"] = [metric.value for metric in chat("plain").metrics]
    made["health"] = client.inspect.health().status
    made["providers"] = [provider.provider_id for provider in client.providers.list()]
    made["routes"] = len(client.routes.list()) > 10
    print(json.dumps(made))


main()
