"""A program for Llama Stack, unchanged but for the URL: its own inference API, streamed and whole, and its models.

Python 3.11+, `pip install llama-stack-client==0.2.12 fire requests`: an older client, so in an environment of its own.
"""

from __future__ import annotations

import os

from llama_stack_client import LlamaStackClient
from llama_stack_client.lib.inference.event_logger import EventLogger
from llama_stack_client.types import SystemMessage, UserMessage

SERVER = os.environ.get("CARAVAN_URL", "http://localhost:8321").rstrip("/").removesuffix("/v1")
MODEL = os.environ.get("CARAVAN_MODEL", "SmolLM2-135M-Instruct")


def main() -> None:
    """Ask, ask again with what was said before, and list what could be asked."""
    client = LlamaStackClient(base_url=SERVER, api_key=os.environ.get("CARAVAN_API_KEY"))
    history = [
        SystemMessage(content="You are a friendly assistant.", role="system"),
        UserMessage(content="Write a two-sentence poem about llamas.", role="user"),
    ]
    sampling = {"strategy": {"type": "top_p", "temperature": 0.7, "top_p": 0.9}, "max_tokens": 60}
    first = client.inference.chat_completion(messages=history, model_id=MODEL, sampling_params=sampling)
    print(first.completion_message.content)

    history.append(first.completion_message)
    history.append(UserMessage(content="And one about the moon.", role="user"))
    stream = client.inference.chat_completion(messages=history, model_id=MODEL, sampling_params=sampling, stream=True)
    for event in EventLogger().log(stream):
        event.print()

    print("models:", ", ".join(model.identifier for model in client.models.list()))


if __name__ == "__main__":
    main()
