"""What reading files into a vector store costs beside the embedding itself, in a real mesh with the bundled MiniLM.

    python -m benchmarks.ingest [--files 100] [--reps 3]

Python's own library is uploaded, a batch of it is read into a store, and the texts of the chunks are then embedded once
more through /v1/embeddings, as many at a time as the pipeline asks for: the embedder's own speed. Prints a Markdown
table; ratios and CPU are what counts on a shared machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sysconfig
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import proc
from benchmarks.errors import BenchmarkError
from benchmarks.mesh import START_TIMEOUT, STOP_TIMEOUT, command

EMBEDDING_BATCH, EMBEDDING_AT_ONCE = 32, 4
"""As CARAVAN_VECTOR_EMBED_BATCH and CARAVAN_VECTOR_EMBED_AT_ONCE have them."""
LARGEST = 100_000
PATIENCE = 900.0
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Row:
    chunks: int
    seconds: float
    embedding_seconds: float
    cpu: float
    """Of all processes of the mesh, while files were read."""
    embedding_cpu: float
    rss: int
    """Of the vector service with the processes that parse, at the end; bytes."""


class Mesh:
    """One that runs."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        command(self.data, START_TIMEOUT, "up", "--port", "0", "--detach")
        status = json.loads(command(self.data, 20, "status", "--json"))
        self.url = str(status["urls"]["gateway"])
        self.launcher = int(status["pid"])
        self.vector = next(int(part["pid"]) for part in status["services"] if part["name"].startswith("vector"))

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"content-type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def upload(self, path: Path) -> str:
        border = uuid.uuid4().hex
        parts = [
            f'--{border}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nassistants\r\n'.encode(),
            f'--{border}\r\ncontent-disposition: form-data; name="file"; filename="{path.name}"\r\n\r\n'.encode(),
            path.read_bytes(),
            f"\r\n--{border}--\r\n".encode(),
        ]
        kind = {"content-type": f"multipart/form-data; boundary={border}"}
        request = urllib.request.Request(f"{self.url}/v1/files", b"".join(parts), kind, method="POST")
        with urllib.request.urlopen(request, timeout=120) as answer:
            return str(json.load(answer)["id"])

    def cpu(self) -> float:
        return sum(usage.cpu for usage in proc.tree(self.launcher).values())

    def rss(self) -> int:
        return sum(usage.rss for usage in proc.tree(self.vector).values())

    def stop(self) -> None:
        command(self.data, STOP_TIMEOUT, "down")


def measure(mesh: Mesh, files: Sequence[str]) -> Row:
    store = mesh.ask("POST", "/v1/vector_stores", {})["id"]
    began, cpu = time.monotonic(), mesh.cpu()
    batch = mesh.ask("POST", f"/v1/vector_stores/{store}/file_batches", {"file_ids": list(files)})["id"]
    while True:
        state = mesh.ask("GET", f"/v1/vector_stores/{store}/file_batches/{batch}")
        if state["status"] != "in_progress":
            break
        if time.monotonic() - began > PATIENCE:
            raise BenchmarkError(f"not finished in {PATIENCE:.0f} s: {state['file_counts']}")
        time.sleep(0.1)
    seconds, cpu, rss = time.monotonic() - began, mesh.cpu() - cpu, mesh.rss()
    if state["file_counts"]["completed"] != len(files):
        raise BenchmarkError(f"not all files could be read: {state['file_counts']}")
    texts = [
        part["text"]
        for file in files
        for part in mesh.ask("GET", f"/v1/vector_stores/{store}/files/{file}/content")["data"]
    ]
    model = mesh.ask("GET", f"/v1/vector_stores/{store}")["embedding_model"]
    groups = [texts[at : at + EMBEDDING_BATCH] for at in range(0, len(texts), EMBEDDING_BATCH)]
    began, embedding_cpu = time.monotonic(), mesh.cpu()
    with ThreadPoolExecutor(EMBEDDING_AT_ONCE) as pool:
        body = {"model": model, "encoding_format": "base64"}
        list(pool.map(lambda group: mesh.ask("POST", "/v1/embeddings", {**body, "input": group}), groups))
    row = Row(len(texts), seconds, time.monotonic() - began, cpu, mesh.cpu() - embedding_cpu, rss)
    mesh.ask("DELETE", f"/v1/vector_stores/{store}")
    return row


def report(rows: Sequence[Row]) -> str:
    def middle(values: Sequence[float]) -> float:
        return statistics.median(values)

    lines = ["| | chunks/s | CPU-ms per chunk |", "| --- | ---: | ---: |"]
    for name, seconds, cpu in (
        ("embedding alone", [row.embedding_seconds for row in rows], [row.embedding_cpu for row in rows]),
        ("reading files", [row.seconds for row in rows], [row.cpu for row in rows]),
    ):
        speed = middle([row.chunks / each for row, each in zip(rows, seconds, strict=True)])
        cost = middle([each / row.chunks * 1000 for row, each in zip(rows, cpu, strict=True)])
        lines.append(f"| {name} | {speed:.0f} | {cost:.1f} |")
    ratio = middle([row.embedding_seconds / row.seconds for row in rows])
    share = middle([row.embedding_cpu / row.cpu for row in rows])
    lines.append(f"| share of the embedding | {ratio:.0%} | {share:.0%} |")
    rss = ", ".join(f"{row.rss / MEGABYTE:.0f}" for row in rows)
    told = f"{rows[0].chunks} chunks; the vector service with its parsers, after each repetition: {rss} MB"
    return "\n".join([*lines, "", told])


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100, help="how many files are read (100)")
    parser.add_argument("--reps", type=int, default=3, help="repetitions; the table shows medians (3)")
    options = parser.parse_args()
    found = sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py"))
    paths = [path for path in found if 2_000 < path.stat().st_size < LARGEST][: options.files]
    with tempfile.TemporaryDirectory() as folder:
        mesh = Mesh(Path(folder))
        try:
            files = [mesh.upload(path) for path in paths]
            rows = [measure(mesh, files) for _ in range(options.reps)]
        finally:
            mesh.stop()
    print(report(rows))


if __name__ == "__main__":
    main()
