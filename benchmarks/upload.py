"""What large files cost in memory: a file in one form, an upload in parts, and its bytes back, in a real mesh.

    python -m benchmarks.upload [--mib 1024]

Prints a Markdown table with the peak of resident memory (VmHWM) of the gateway and of the files service, set back
before each row.
"""

from __future__ import annotations

import argparse
import http.client
import json
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.errors import BenchmarkError
from benchmarks.mesh import START_TIMEOUT, STOP_TIMEOUT, command

MIB = 1024 * 1024
PART = 64 * MIB
"""The largest part of an upload."""
PIECE = bytes(range(256)) * 4096
PATIENCE = 900.0
WATCHED = ("gateway", "files")


class Mesh:
    """One that runs, and takes files of any size."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        more = {"CARAVAN_FILES_BYTES": str(64 * 1024 * MIB)}
        command(self.data, START_TIMEOUT, "up", "--port", "0", "--detach", "--no-local-model", environment=more)
        status = json.loads(command(self.data, 20, "status", "--json"))
        self._at = urlsplit(str(status["urls"]["gateway"])).netloc
        self.watched = {str(p["name"]): int(p["pid"]) for p in status["services"] if p["name"] in WATCHED}

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        """The JSON of an answer. `body` is JSON, or an iterator of bytes whose length the headers say."""
        connection = http.client.HTTPConnection(self._at, timeout=PATIENCE)
        if isinstance(body, dict):
            body, headers = json.dumps(body).encode(), {"content-type": "application/json"}
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status != 200:
            raise BenchmarkError(f"{method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text)

    def form(self, path: str, fields: dict[str, str], name: str, size: int) -> Any:
        """POST a form with a file of `size` bytes, which is made while it is sent."""
        border = uuid.uuid4().hex
        head = "".join(
            f'--{border}\r\ncontent-disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
            for key, value in fields.items()
        )
        head += f'--{border}\r\ncontent-disposition: form-data; name="{name}"; filename="large.bin"\r\n\r\n'
        tail = f"\r\n--{border}--\r\n"
        headers = {
            "content-type": f"multipart/form-data; boundary={border}",
            "content-length": str(len(head) + size + len(tail)),
        }

        def pieces() -> Iterator[bytes]:
            yield head.encode()
            for at in range(0, size, len(PIECE)):
                yield PIECE[: size - at]
            yield tail.encode()

        return self.ask("POST", path, pieces(), headers)

    def fetch(self, path: str) -> int:
        """Bytes of an answer, which are thrown away."""
        connection = http.client.HTTPConnection(self._at, timeout=PATIENCE)
        connection.request("GET", path)
        answer = connection.getresponse()
        size = 0
        while piece := answer.read(len(PIECE)):
            size += len(piece)
        connection.close()
        return size

    def stop(self) -> None:
        command(self.data, STOP_TIMEOUT, "down")


def peak(pid: int) -> float:
    """Largest resident memory of a process since :func:`forget`, MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6


def forget(pid: int) -> None:
    """Count the peak from now on (proc(5): clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=1024, help="size of the file (1024)")
    size = parser.parse_args(arguments).mib * MIB
    with tempfile.TemporaryDirectory() as folder:
        mesh = Mesh(Path(folder))
        try:
            print(f"{size // MIB} MiB\n\n| | MB/s | gateway, peak MB | files service, peak MB |")
            print("| --- | ---: | ---: | ---: |")
            kept = row(mesh, size, "POST /v1/files", lambda: whole(mesh, size))
            row(mesh, size, "POST /v1/uploads, in parts", lambda: in_parts(mesh, size))
            row(mesh, size, "GET /v1/files/{id}/content", lambda: content(mesh, kept, size))
        finally:
            mesh.stop()


def row(mesh: Mesh, size: int, name: str, act: Callable[[], str]) -> str:
    """One line of the table; returns what `act` does."""
    for pid in mesh.watched.values():
        forget(pid)
    began = time.monotonic()
    made = act()
    speed = size / 1e6 / (time.monotonic() - began)
    peaks = " | ".join(f"{peak(mesh.watched[name]):.0f}" for name in WATCHED)
    print(f"| {name} | {speed:.0f} | {peaks} |", flush=True)
    return made


def whole(mesh: Mesh, size: int) -> str:
    """The id of a file that was sent in one form."""
    file = mesh.form("/v1/files", {"purpose": "user_data"}, "file", size)
    if file["bytes"] != size:
        raise BenchmarkError(f"{file['bytes']} bytes arrived of {size}")
    return str(file["id"])


def in_parts(mesh: Mesh, size: int) -> str:
    """The id of a file that was sent as an upload."""
    asked = {"purpose": "user_data", "filename": "large.bin", "bytes": size, "mime_type": "application/octet-stream"}
    upload = mesh.ask("POST", "/v1/uploads", asked)["id"]
    parts = [
        mesh.form(f"/v1/uploads/{upload}/parts", {}, "data", min(PART, size - at))["id"] for at in range(0, size, PART)
    ]
    done = mesh.ask("POST", f"/v1/uploads/{upload}/complete", {"part_ids": parts})
    return str(done["file"]["id"])


def content(mesh: Mesh, file: str, size: int) -> str:
    """Fetches all of a file."""
    if (got := mesh.fetch(f"/v1/files/{file}/content")) != size:
        raise BenchmarkError(f"{got} bytes came of {size}")
    return file


if __name__ == "__main__":
    main()
