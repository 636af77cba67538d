"""llama-stack-client 0.0.50: plain JSON paths, `model`, text as deltas."""

import json
import sys

from llama_stack_client import APIStatusError, LlamaStackClient
from llama_stack_client.types import SystemMessage, UserMessage

client = LlamaStackClient(base_url=sys.argv[1], max_retries=0)
HELLO = [SystemMessage(content="Be brief.", role="system"), UserMessage(content="hello", role="user")]
WEATHER = {
    "tool_name": "weather",
    "description": "of a city",
    "parameters": {"city": {"param_type": "str", "description": "where", "required": True}},
}


def chat(model, **more):
    return client.inference.chat_completion(messages=HELLO, model=model, **more)


def plain():
    got = chat("plain", sampling_params={"strategy": "greedy", "max_tokens": 2})
    return [got.completion_message.content, got.completion_message.stop_reason, got.completion_message.role]


def stream():
    events = [chunk.event for chunk in chat("plain", stream=True)]
    text = "".join(event.delta for event in events)
    return [text, [event.event_type for event in events], events[-1].stop_reason]


def tools():
    message = chat("up/tools", tools=[WEATHER], tool_choice="auto").completion_message
    call = message.tool_calls[0]
    again = client.inference.chat_completion(
        model="plain",
        messages=[
            *HELLO,
            {"role": "assistant", "content": "", "stop_reason": message.stop_reason, "tool_calls": [call.to_dict()]},
            {"role": "ipython", "call_id": call.call_id, "tool_name": call.tool_name, "content": "sunny"},
        ],
    )
    return [call.tool_name, call.arguments, message.stop_reason, again.completion_message.content]


def streamed_tools():
    events = [chunk.event for chunk in chat("up/tools", stream=True, tools=[WEATHER])]
    last = events[-2].delta
    return [events[1].delta.parse_status, last.parse_status, last.content.arguments, events[-1].stop_reason]


def image():
    picture = {"image": {"uri": "https://example.org/a.png"}}
    got = client.inference.chat_completion(
        model="plain", messages=[{"role": "user", "content": ["what is it?", picture]}]
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
    got = client.inference.completion(content="once", model="plain")
    return [got.content, got.stop_reason]


def models():
    listed = [json.loads(line)["identifier"] for line in client.models.list().splitlines()]
    one = client.models.retrieve(identifier="plain")
    return ["Llama3.2-11B-Vision-Instruct" in listed, one.identifier, one.llama_model, one.provider_id]


def cancel():
    # closed here: its connection pool may wait for itself for ever when Python finds the stream later
    with chat("up/slow-100", stream=True, sampling_params={"strategy": "greedy", "max_tokens": 300}) as told:
        for chunk in told:
            if chunk.event.event_type == "progress":
                return "left"
    return None


def shields():
    listed = [json.loads(line)["identifier"] for line in client.shields.list().splitlines()]
    one = client.shields.retrieve(shield_type="private")

    def judged(text):
        messages = [UserMessage(content=text, role="user")]
        return client.safety.run_shield(shield_type="private", messages=messages, params={}).violation

    found = judged("write to ada@example.org")
    return [listed, one.type, judged("hello"), found.violation_level, found.metadata["violation_type"]]


def main():
    vectors = client.inference.embeddings.create(contents=["a", "b"], model="text-embed").embeddings
    batch = client.batch_inferences.chat_completion(messages_batch=[HELLO, HELLO], model="plain")
    made = {
        each.__name__: each()
        for each in (plain, stream, tools, streamed_tools, image, error, broken, text, models, shields, cancel)
    }
    made["embeddings"] = vectors
    made["batch"] = [message.content for message in batch.completion_message_batch]
    made["health"] = client.inspect.health().status
    made["providers"] = [info.provider_id for info in client.providers.list()["inference"]]
    print(json.dumps(made))


main()
