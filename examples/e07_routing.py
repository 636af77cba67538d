"""Routing over the Responses API: a first response says what is asked about, and that chooses model and prompt.

Python 3.11+, `pip install openai`. The question may stand on the command line.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from openai import OpenAI

SERVER = os.environ.get("CARAVAN_URL", "http://localhost:8321").rstrip("/").removesuffix("/v1")
MODEL = os.environ.get("CARAVAN_MODEL", "SmolLM2-135M-Instruct")
EXPERT = os.environ.get("CARAVAN_EXPERT_MODEL", MODEL)
QUESTION = "The page with my invoices stays empty since the update. What can I do?"
ROUTES = {
    "billing": (MODEL, "You answer questions about invoices and payments. Be friendly and brief."),
    "technical": (EXPERT, "You are a support engineer. Ask for what you need to know, then give steps."),
    "other": (MODEL, "Answer in one sentence."),
}
SCHEMA: Any = {
    "type": "json_schema",
    "name": "route",
    "strict": True,
    "schema": {
        "type": "object",
        "properties": {"route": {"type": "string", "enum": list(ROUTES)}},
        "required": ["route"],
        "additionalProperties": False,
    },
}


def main() -> None:
    """Classify, then ask whom it concerns."""
    question = " ".join(sys.argv[1:]) or QUESTION
    client = OpenAI(base_url=f"{SERVER}/v1", api_key=os.environ.get("CARAVAN_API_KEY", "none"))
    classified = client.responses.create(
        model=MODEL,
        instructions="Which kind of question is this? Answer with JSON: a route of " + ", ".join(ROUTES) + ".",
        input=question,
        text={"format": SCHEMA},
        max_output_tokens=80,
        temperature=0,
        store=False,  # nobody will go on from it
    )
    route = chosen(classified.output_text)
    print("route:", route)

    model, instructions = ROUTES[route]
    answer = client.responses.create(
        model=model, instructions=instructions, input=question, max_output_tokens=80, temperature=0
    )
    print("answer:", answer.output_text)


def chosen(text: str) -> str:
    """The route that the classifier named; a small model may name none."""
    try:
        route = json.loads(text)["route"]
    except (ValueError, KeyError, TypeError):
        return "other"
    return route if route in ROUTES else "other"


if __name__ == "__main__":
    main()
