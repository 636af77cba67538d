"""The official OpenAI client, unmodified: only the base URL is ours.

Python 3.11+, `pip install openai`.
"""

from __future__ import annotations

import os

from openai import OpenAI

SERVER = os.environ.get("CARAVAN_URL", "http://localhost:8321").rstrip("/").removesuffix("/v1")
MODEL = os.environ.get("CARAVAN_MODEL", "SmolLM2-135M-Instruct")


def main() -> None:
    """Ask, and print the answer."""
    client = OpenAI(base_url=f"{SERVER}/v1", api_key=os.environ.get("CARAVAN_API_KEY", "none"))
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "What is the capital of France?"}],
        max_tokens=60,
        temperature=0,
    )
    print(answer.choices[0].message.content)


if __name__ == "__main__":
    main()
