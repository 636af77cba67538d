"""The gateway's HTTP API as the command uses it: small requests and one stream, on the standard library."""

from __future__ import annotations

import http.client
import json
import os
import urllib.parse
from collections.abc import Generator
from pathlib import Path
from typing import Any

from caravan.errors import NotRunning, StartError

KEY_VARIABLE = "CARAVAN_API_KEY"
_TIMEOUT = 30.0
_SILENCE = 120.0
"""Seconds without a byte after which an answer counts as lost; the gateway sends comments far more often."""


class GatewayError(StartError):
    """The gateway could not be reached or refused; the message is its own."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Gateway:
    """One server, by its URL without a path (``http://127.0.0.1:8321``)."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        wrong = GatewayError(f"{url!r} is no URL of a server; write http://HOST:PORT.")
        try:
            self._parts = urllib.parse.urlsplit(self.url)
            self._port = self._parts.port
        except ValueError as error:
            raise wrong from error
        if self._parts.scheme not in ("http", "https") or not self._parts.hostname:
            raise wrong

    @staticmethod
    def find(url: str | None, data_dir: Path | None) -> Gateway:
        """The server at `url`, else the one that runs on the data folder; raises :class:`NotRunning`."""
        if url:
            return Gateway(url)
        from caravan.runtime import state
        from caravan.runtime.paths import DataDir

        data = DataDir.at(data_dir)
        current = state.running(data)
        if current is None or "gateway" not in current.urls:
            raise NotRunning(data.root)
        return Gateway(current.urls["gateway"])

    def models(self) -> list[dict[str, Any]]:
        """``GET /v1/models``."""
        return list(self.call("GET", "/v1/models")["data"])

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """One JSON request; raises :class:`GatewayError`."""
        connection, response = self._send(method, path, body, _TIMEOUT)
        try:
            answer = json.loads(response.read() or b"{}")
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise GatewayError(f"{self.url}{path} sent no JSON: {error}") from error
        finally:
            connection.close()
        if not isinstance(answer, dict):
            raise GatewayError(f"{self.url}{path} sent no JSON object")
        return answer

    def stream(self, path: str, body: object) -> Generator[dict[str, Any], None, None]:
        """POST and yield the events of the answer; raises :class:`GatewayError`, also for one cut off.

        Closing the generator closes the connection, which stops the model.
        """
        connection, response = self._send("POST", path, body, _SILENCE)
        try:
            for line in response:
                if not line.startswith(b"data:"):
                    continue
                data = line[5:].strip()
                if data == b"[DONE]":
                    return
                event = json.loads(data)
                if "error" in event:
                    raise GatewayError(str(event["error"].get("message", event["error"])))
                yield event
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise GatewayError(f"the answer broke off: {error}") from error
        finally:
            connection.close()
        raise GatewayError("the answer broke off before its end")

    def _send(
        self, method: str, path: str, body: object, timeout: float
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        headers = {"accept": "application/json, text/event-stream"}
        if key := os.environ.get(KEY_VARIABLE, "").strip():
            if not (key.isascii() and key.isprintable()):
                raise GatewayError(f"The API key in ${KEY_VARIABLE} holds characters that no key has; set it again.")
            headers["authorization"] = f"Bearer {key}"
        connection = kind(self._parts.hostname or "", self._port, timeout=timeout)
        if body is not None:
            headers["content-type"] = "application/json"
        try:
            connection.request(method, self._parts.path + path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise GatewayError(
                f"No answer from {self.url} ({error}). Is it running? Look with `caravan status`, start it with "
                "`caravan up`."
            ) from error
        if response.status >= 400:
            text = _message(response)
            connection.close()
            raise GatewayError(text, response.status)
        return connection, response


def _message(response: http.client.HTTPResponse) -> str:
    """The message of an OpenAI-shaped error, with a word on keys where one is missing."""
    raw = response.read(65536)
    try:
        text = str(json.loads(raw)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        text = raw.decode(errors="replace").strip() or response.reason
    if response.status == 401:
        text += f" (the command takes its key from ${KEY_VARIABLE})"
    return f"{text} [HTTP {response.status}]"
