"""A service that has work done in the background, over the bus: it may stop and start while the work goes on.

Python 3.11+, the package `caravan-client` (part of `make setup`).
"""

from __future__ import annotations

import asyncio
import os
import sys

from caravan.client import APIError, Caravan

MODEL = os.environ.get("CARAVAN_MODEL", "SmolLM2-135M-Instruct")


async def main() -> None:
    """Start a run, read its events while it is made, then its result."""
    async with Caravan.connect() as client:
        try:
            queued = await client.responses.create(
                model=MODEL, input="Describe a lighthouse.", max_output_tokens=60, background=True
            )
            print("started:", queued.status)
            # reads on at another worker when one dies; leaving this loop leaves the run alone
            async for event in await client.responses.retrieve(queued.id, stream=True):
                if event.type == "response.output_text.delta":
                    print(event.delta, end="", flush=True)
            print()
            made = await client.responses.retrieve(queued.id)
        except APIError as error:
            sys.exit(error.message)
        if made.status != "completed":
            sys.exit(f"ended: {made.status}: {made.error.message if made.error else ''}")
        print("ended:", made.status, "with", made.usage.output_tokens if made.usage else 0, "tokens")


if __name__ == "__main__":
    asyncio.run(main())
