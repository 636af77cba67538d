"""The resources of the OpenAI client over the bus: no HTTP, and on the machine of a `caravan up` nothing to set.

Python 3.11+, the package `caravan-client` (part of `make setup`).
"""

from __future__ import annotations

import asyncio
import os
import sys

from caravan.client import APIError, Caravan

MODEL = os.environ.get("CARAVAN_MODEL", "SmolLM2-135M-Instruct")


async def main() -> None:
    """Ask, print the answer as it comes, then the same as a whole."""
    async with Caravan.connect() as client:
        messages = [{"role": "user", "content": "What is the capital of France?"}]
        try:
            chunks = await client.chat.completions.create(
                model=MODEL, messages=messages, stream=True, max_tokens=60, temperature=0
            )
            async for chunk in chunks:  # leaving this loop early cancels the request
                print(chunk.choices[0].delta.content or "", end="", flush=True)
            print()
            answer = await client.chat.completions.create(model=MODEL, messages=messages, max_tokens=5, temperature=0)
        except APIError as error:  # the tree of the OpenAI client: NotFoundError, RateLimitError …
            sys.exit(error.message)
        print(answer.choices[0].message.content)


if __name__ == "__main__":
    asyncio.run(main())
