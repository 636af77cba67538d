"""Parallel responses: several views of one text at once, then one response that brings them together.

Python 3.11+, `pip install openai`.
"""

from __future__ import annotations

import asyncio
import os

from openai import AsyncOpenAI

SERVER = os.environ.get("CARAVAN_URL", "http://localhost:8321").rstrip("/").removesuffix("/v1")
MODEL = os.environ.get("CARAVAN_MODEL", "SmolLM2-135M-Instruct")
PLAN = "We move the shop's database to another provider on Friday evening and switch over at once."
VIEWS = {
    "customers": "You speak for the customers. Name what this plan means for them, in two sentences.",
    "engineers": "You are a database engineer. Name the greatest risk of this plan, in two sentences.",
    "management": "You look at costs and dates. Judge this plan in two sentences.",
}


async def main() -> None:
    """Ask all at once, then for the sum of it."""
    async with AsyncOpenAI(base_url=f"{SERVER}/v1", api_key=os.environ.get("CARAVAN_API_KEY", "none")) as client:

        async def view(instructions: str) -> str:
            made = await client.responses.create(
                model=MODEL, instructions=instructions, input=PLAN, max_output_tokens=80, temperature=0, store=False
            )
            return made.output_text

        # each goes to whichever worker has a free slot; what one provider cannot take at once waits in a line
        views = await asyncio.gather(*(view(instructions) for instructions in VIEWS.values()))
        for name, text in zip(VIEWS, views, strict=True):
            print(f"{name}: {text}")

        told = "\n\n".join(f"What the {name} say: {text}" for name, text in zip(VIEWS, views, strict=True))
        together = await client.responses.create(
            model=MODEL,
            instructions="Bring these views together and recommend what to do, in one sentence.",
            input=f"The plan: {PLAN}\n\n{told}",
            max_output_tokens=80,
            temperature=0,
        )
        print("together:", together.output_text)


if __name__ == "__main__":
    asyncio.run(main())
