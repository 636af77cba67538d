"""Forms as clients send them, byte by byte, and uploads in parts."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from openai import OpenAI
from openai.types import FileObject

from tests.mesh.tenants import ADA

BOUNDARY = "house-boundary"


def field(name: str, value: str) -> bytes:
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()


def file_head(filename: str, name: str = "file", media_type: str = "application/octet-stream") -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
    return f"{head}Content-Type: {media_type}\r\n\r\n".encode()


END = f"\r\n--{BOUNDARY}--\r\n".encode()


def form(filename: str, data: bytes, *, purpose: str = "user_data", late: bool = False) -> bytes:
    """`late`: the purpose behind the file."""
    if late:
        return file_head(filename) + data + b"\r\n" + field("purpose", purpose) + END.removeprefix(b"\r\n")
    return field("purpose", purpose) + file_head(filename) + data + END


def headers(key: str = ADA) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", "Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


class Line:
    """A connection on which a request is written by hand."""

    def __init__(self, url: str, path: str = "/v1/files", length: int | None = None, key: str = ADA) -> None:
        place = urlsplit(url)
        self.socket = socket.create_connection((place.hostname, place.port), timeout=20)
        sized = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        lines = [f"POST {path} HTTP/1.1", f"Host: {place.netloc}", sized]
        lines += [f"{name}: {value}" for name, value in headers(key).items()]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def chunk(self, data: bytes) -> None:
        self.socket.sendall(b"%x\r\n%b\r\n" % (len(data), data))

    def answer(self) -> bytes:
        """Head and what came with it."""
        made = b""
        while b"\r\n\r\n" not in made:
            piece = self.socket.recv(65536)
            if not piece:
                break
            made += piece
        return made

    def close(self) -> None:
        self.socket.close()


def upload_whole(client: OpenAI, data: bytes, count: int, **more: Any) -> FileObject:
    upload = client.uploads.create(
        bytes=len(data), filename="parts.bin", mime_type="application/octet-stream", purpose="user_data"
    )
    size = -(-len(data) // count)
    pieces: Iterable[bytes] = [data[at : at + size] for at in range(0, len(data), size)]
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda piece: client.uploads.parts.create(upload.id, data=piece), pieces))
    done = client.uploads.complete(upload.id, part_ids=[part.id for part in parts], **more)
    assert done.file is not None
    return done.file
