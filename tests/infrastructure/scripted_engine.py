"""Docker's HTTP API, as far as the containers of tests need it. It runs nothing and remembers everything."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class ScriptedEngine:
    images: set[str] = field(default_factory=set)
    """What need not be pulled."""
    refused: set[str] = field(default_factory=set)
    """What no registry has."""
    created: list[dict[str, Any]] = field(default_factory=list)
    """Bodies of the requests that made containers."""
    actions: list[str] = field(default_factory=list)
    """What was done with them afterwards, and pulls."""
    status: str = "created"

    def __enter__(self) -> ScriptedEngine:
        engine = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                status, answer = engine.answer(f"{self.command} {self.path}", json.loads(body or b"{}"))
                data = b"" if status == 204 else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = handle_one

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"tcp://127.0.0.1:{self._server.server_port}"

    def answer(self, request: str, body: Any) -> tuple[int, Any]:
        request = re.sub(r" /v1\.\d+", " ", request)
        if match := re.match(r"GET /images/(.+)/json", request):
            return (200, {"Id": "sha256:1"}) if match[1] in self.images else (404, {"message": "No such image"})
        if match := re.match(r"POST /images/create\?tag=(.+)&fromImage=(.+)", request):
            return self._pull(f"{match[2].replace('%2F', '/')}:{match[1]}")
        if request.startswith("POST /containers/create"):
            self.created.append(body)
            return 201, {"Id": "c1", "Warnings": []}
        if match := re.match(r"(POST|DELETE) /containers/c1(?:/(\w+))?", request):
            return self._act(match[2] or "remove")
        if request.startswith("GET /containers/c1/json"):
            return 200, {"Id": "c1", "Name": "c1", "State": {"Status": self.status}, "Config": {}}
        if request.startswith("GET /version"):
            return 200, {"ApiVersion": "1.44"}
        return (200, "OK") if request.startswith("GET /_ping") else (404, {"message": f"not scripted: {request}"})

    def _pull(self, image: str) -> tuple[int, Any]:
        if image in self.refused:
            return 404, {"message": f"pull access denied for {image}"}
        self.images.add(image)
        self.actions.append(f"pull {image}")
        return 200, {"status": "done"}

    def _act(self, action: str) -> tuple[int, Any]:
        self.actions.append(action)
        self.status = {"start": "running", "restart": "running", "kill": "exited"}.get(action, self.status)
        return (200, {"StatusCode": 137}) if action == "wait" else (204, {})
