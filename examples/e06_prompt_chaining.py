"""Prompt chaining over the Responses API: the second prompt works on what the first one gave, the third goes on.

Python 3.11+, `pip install openai`.
"""

from __future__ import annotations

import os

from openai import OpenAI

SERVER = os.environ.get("CARAVAN_URL", "http://localhost:8321").rstrip("/").removesuffix("/v1")
MODEL = os.environ.get("CARAVAN_MODEL", "SmolLM2-135M-Instruct")
TEXT = "The laptop has 16GB RAM and a 1TB SSD."


def main() -> None:
    """Extract, transform, and go on."""
    client = OpenAI(base_url=f"{SERVER}/v1", api_key=os.environ.get("CARAVAN_API_KEY", "none"))
    extracted = client.responses.create(
        model=MODEL, input=f"Extract the technical specifications from: {TEXT}", max_output_tokens=80, temperature=0
    )
    print("extracted:", extracted.output_text)

    transformed = client.responses.create(
        model=MODEL,
        instructions="Answer with JSON alone.",
        input=f"Write these specifications as JSON: {extracted.output_text}",
        max_output_tokens=80,
        temperature=0,
    )
    print("transformed:", transformed.output_text)

    print("in words: ", end="")
    with client.responses.create(
        model=MODEL,
        input="Now say it in one sentence.",
        previous_response_id=transformed.id,  # the server remembers what was said before
        max_output_tokens=80,
        temperature=0,
        stream=True,
    ) as events:
        for event in events:
            if event.type == "response.output_text.delta":
                print(event.delta, end="", flush=True)
    print()


if __name__ == "__main__":
    main()
