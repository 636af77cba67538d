"""A worker's own little HTTP port for operators: /livez, /readyz and /metrics."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from caravan_contracts.errors import CaravanError
from prometheus_client import make_wsgi_app

Ready = Callable[[], str]
"""Why the process cannot take work; "" when it can."""


class _Quiet(WSGIRequestHandler):
    timeout = 5

    def log_message(self, format: str, *args: Any) -> None:
        """Probes come every second; they are not worth a line."""


class OpsServer:
    """Runs in a thread of its own, so that a busy event loop still answers (and a hung one shows)."""

    def __init__(self, host: str, port: int, ready: Ready, refresh: Callable[[], None] = lambda: None) -> None:
        """`refresh` brings gauges up to date before they are read."""
        metrics = make_wsgi_app()

        def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            path = environ.get("PATH_INFO", "")
            if path == "/metrics":
                refresh()
                page: Iterable[bytes] = metrics(environ, start_response)
                return page
            reason = {"/livez": lambda: "", "/readyz": ready, "/healthz": ready}.get(path)
            if reason is None:
                start_response("404 Not Found", [("Content-Type", "text/plain")])
                return [b"/livez /readyz /metrics\n"]
            why = reason()
            start_response(
                "503 Service Unavailable" if why else "200 OK",
                [("Content-Type", "text/plain")],
            )
            return [(why or "ok").encode() + b"\n"]

        try:
            self._server: WSGIServer = make_server(host, port, app, handler_class=_Quiet)
        except OSError as error:
            raise CaravanError(
                f"port {port} on {host} for /readyz and /metrics is taken ({error.strerror}); set CARAVAN_OPS_PORT"
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="ops", daemon=True)

    def start(self) -> None:
        """Answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(2)
