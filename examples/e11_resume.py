"""A run that is read by two processes: the first starts it and leaves after some events, the second reads the rest.

    e11_resume.py                  starts one, prints the beginning, and says how to go on
    e11_resume.py ID NUMBER        prints what comes behind the event of that number

Python 3.11+, `pip install openai`.
"""

from __future__ import annotations

import os
import sys

from openai import OpenAI

SERVER = os.environ.get("CARAVAN_URL", "http://localhost:8321").rstrip("/").removesuffix("/v1")
MODEL = os.environ.get("CARAVAN_MODEL", "SmolLM2-135M-Instruct")
ENOUGH = 10
"""Pieces of text that the first process reads."""


def begin(client: OpenAI) -> None:
    """Start a run in the background, read a little of it, and leave: that does not end it."""
    run, number, pieces = "", 0, 0
    with client.responses.create(
        model=MODEL, input="Describe a lighthouse.", max_output_tokens=60, background=True, stream=True
    ) as events:
        for event in events:
            number = event.sequence_number
            if event.type == "response.created":
                run = event.response.id
            elif event.type == "response.output_text.delta":
                print(event.delta, end="", flush=True)
                pieces += 1
                if pieces == ENOUGH:
                    break
    print(f"\n{run} {number}")


def go_on(client: OpenAI, run: str, number: int) -> None:
    """Read what comes behind the event `number`: what was said meanwhile at once, the rest as it is made."""
    with client.responses.retrieve(run, stream=True, starting_after=number) as events:
        for event in events:
            if event.type == "response.output_text.delta":
                print(event.delta, end="", flush=True)
    print()


if __name__ == "__main__":
    openai = OpenAI(base_url=f"{SERVER}/v1", api_key=os.environ.get("CARAVAN_API_KEY", "none"))
    if len(sys.argv) == 3:
        go_on(openai, sys.argv[1], int(sys.argv[2]))
    else:
        begin(openai)
