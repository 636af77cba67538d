"""Embeddings of the bundled MiniLM under concurrent calls, in one process, without the mesh.

    python -m benchmarks.embeddings [--seconds 3] [--threads 1] [--only "question, C = 16"]

Prints a Markdown table: CPU per call is what counts on a shared machine.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

import orjson
from caravan_contracts.context import RequestContext
from caravan_contracts.inference import CallSpec, Verb
from caravan_inference.providers.base import Call, ProviderOptions
from caravan_inference.providers.onnx_embeddings import OnnxEmbeddings

MODEL = "all-MiniLM-L6-v2"
WORDS = [
    *("river", "stone", "market", "signal", "garden", "winter", "engine"),
    *("letter", "island", "metal", "window", "forest", "silver", "bridge"),
]
LENGTHS = {"question": (6, 6), "sentence": (15, 25), "mixed": (5, 60), "paragraph": (80, 120)}
"""Words of a text, least and most; a word is a token, and two are added."""


@dataclass(frozen=True)
class Row:
    calls: int
    cpu_ms: float
    per_second: float
    p50_ms: float
    p99_ms: float


class Nowhere:
    def write(self, data: bytes) -> bool:
        return True

    async def room(self) -> None:
        return


def calls(kind: str, seed: int = 1) -> Iterator[Call]:
    chance = random.Random(seed)
    least, most = LENGTHS[kind]
    for number in itertools.count():
        text = " ".join(chance.choices(WORDS, k=chance.randint(least, most)))
        body = orjson.dumps({"model": MODEL, "input": text, "encoding_format": "base64"})
        spec = CallSpec("local", MODEL, MODEL)
        yield Call(Verb.EMBEDDINGS, spec, body, RequestContext(f"b{number}", deadline=time.monotonic() + 60))


async def measure(provider: OnnxEmbeddings, kind: str, concurrency: int, seconds: float) -> Row:
    source = calls(kind)
    took: list[float] = []
    end = time.perf_counter() + seconds

    async def one() -> None:
        while (began := time.perf_counter()) < end:
            await provider.run(next(source), Nowhere())
            took.append(time.perf_counter() - began)

    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(one() for _ in range(concurrency)))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    took.sort()
    p99 = took[min(len(took) - 1, int(len(took) * 0.99))]
    return Row(len(took), cpu / len(took) * 1000, len(took) / wall, statistics.median(took) * 1000, p99 * 1000)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    config = {"threads": given.threads, "parallel": 64}
    provider = OnnxEmbeddings(ProviderOptions("local", "inline::onnx-embeddings", 64, config))
    await provider.start()
    print("| texts | CPU-ms per call | calls/s | p50 ms | p99 ms |")
    print("| --- | ---: | ---: | ---: | ---: |")
    try:
        for kind, concurrency in itertools.product(LENGTHS, (1, 4, 16, 64)):
            name = f"{kind}, C = {concurrency}"
            if given.only not in name:
                continue
            await measure(provider, kind, concurrency, 0.3)
            row = await measure(provider, kind, concurrency, given.seconds)
            print(f"| {name} | {row.cpu_ms:.2f} | {row.per_second:.0f} | {row.p50_ms:.1f} | {row.p99_ms:.1f} |")
    finally:
        await provider.close()


if __name__ == "__main__":
    asyncio.run(main())
