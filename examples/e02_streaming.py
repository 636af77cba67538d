"""The same client, streaming: each piece is printed as it leaves the model.

Python 3.11+, `pip install openai`.
"""

from __future__ import annotations

import os

from openai import OpenAI

SERVER = os.environ.get("CARAVAN_URL", "http://localhost:8321").rstrip("/").removesuffix("/v1")
MODEL = os.environ.get("CARAVAN_MODEL", "SmolLM2-135M-Instruct")


def main() -> None:
    """Ask, print the answer as it comes, then what it cost."""
    client = OpenAI(base_url=f"{SERVER}/v1", api_key=os.environ.get("CARAVAN_API_KEY", "none"))
    events = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Tell me about camels in two sentences."}],
        max_tokens=120,
        stream=True,
        stream_options={"include_usage": True},
    )
    # A stream that could not be finished raises openai.APIError here: it never looks like a short answer.
    for event in events:
        if event.choices and event.choices[0].delta.content:
            print(event.choices[0].delta.content, end="", flush=True)
        if event.usage:
            print(f"\n({event.usage.prompt_tokens} tokens in, {event.usage.completion_tokens} out)")


if __name__ == "__main__":
    main()
