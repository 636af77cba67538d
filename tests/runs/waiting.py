"""Waiting for the end of a response in the background."""

from __future__ import annotations

import time

import openai
from openai import OpenAI
from openai.types.responses import Response


def ended(client: OpenAI, id: str, seconds: float = 60.0) -> Response:
    """The response, once it has ended. What a dying gateway says is asked again."""
    until = time.monotonic() + seconds
    made: Response | None = None
    while time.monotonic() < until:
        try:
            made = client.responses.retrieve(id)
        except (openai.APIConnectionError, openai.InternalServerError):
            pass
        else:
            if made.status not in ("queued", "in_progress"):
                return made
        time.sleep(0.05)
    raise AssertionError(f"not ended after {seconds} s: {made.status if made else 'never told'}")
