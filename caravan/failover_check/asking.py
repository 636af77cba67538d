"""The caller: one request to the gateway, and all that came of it with the times."""

from __future__ import annotations

import http.client
import json
import time
import urllib.parse
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Answer:
    """What a client saw."""

    stream: bool
    started: float
    ended: float = 0.0
    status: int = 0
    retry_after: str = ""
    first_word: float = 0.0
    """When the first word was there, of the monotonic clock; 0 = never."""
    arrived: list[float] = field(default_factory=list)
    """When each piece of a stream's text was there."""
    text: str = ""
    ids: set[str] = field(default_factory=set)
    model: str = ""
    """The last one that was told."""
    usage: dict[str, Any] | None = None
    finish: str = ""
    done: int = 0
    """How many ``[DONE]`` came."""
    after_done: bool = False
    """Whether anything came after it."""
    error: dict[str, Any] | None = None
    """The error of the body, or the one in the stream."""
    broken: str = ""
    """Why the HTTP answer itself could not be read to its end."""

    @property
    def seconds(self) -> float:
        """From the request to the end."""
        return self.ended - self.started


@dataclass(frozen=True, slots=True)
class Caller:
    """Asks one gateway. Each request has a connection of its own, so several gateways all get some."""

    url: str
    key: str = ""

    def ask(self, model: str, *, stream: bool, timeout: float) -> Answer:
        """One chat completion. Raises nothing: what goes wrong is in the answer."""
        body: dict[str, Any] = {
            "model": model,
            "messages": [{"role": "user", "content": "Count."}],
            "temperature": 0,
            "seed": 1,
            "stream": stream,
        }
        if stream:
            body["stream_options"] = {"include_usage": True}
        parts = urllib.parse.urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=timeout)
        headers = {"content-type": "application/json", "accept": "text/event-stream, application/json"}
        if self.key:
            headers["authorization"] = f"Bearer {self.key}"
        answer = Answer(stream, time.monotonic())
        try:
            connection.request("POST", f"{parts.path}/v1/chat/completions", json.dumps(body), headers)
            response = connection.getresponse()
            answer.status = response.status
            answer.retry_after = response.headers.get("retry-after", "")
            if response.headers.get("content-type", "").startswith("text/event-stream"):
                _read_events(response, answer, time.monotonic() + timeout)
            else:
                _read_whole(response, answer)
        except (OSError, ValueError, http.client.HTTPException) as error:
            answer.broken = f"{type(error).__name__}: {error}"
        finally:
            connection.close()
        answer.ended = time.monotonic()
        return answer


def _read_whole(response: http.client.HTTPResponse, answer: Answer) -> None:
    made = json.loads(response.read())
    answer.error = made.get("error")
    if answer.error is None:
        answer.first_word = time.monotonic()
        answer.text = str(made["choices"][0]["message"]["content"])
        answer.finish = str(made["choices"][0]["finish_reason"])
        _note(made, answer)


def _read_events(response: http.client.HTTPResponse, answer: Answer, end: float) -> None:
    for line in response:
        if time.monotonic() > end:
            raise TimeoutError("the stream did not end in time")
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        answer.after_done = answer.after_done or answer.done > 0
        if data == b"[DONE]":
            answer.done += 1
            continue
        event = json.loads(data)
        if "error" in event:
            answer.error = event["error"]
            continue
        for choice in event.get("choices") or ():
            text = choice["delta"].get("content") or ""
            if text:
                answer.arrived.append(time.monotonic())
                answer.first_word = answer.first_word or answer.arrived[0]
            answer.text += text
            answer.finish = choice.get("finish_reason") or answer.finish
        _note(event, answer)


def _note(made: dict[str, Any], answer: Answer) -> None:
    if made.get("id"):
        answer.ids.add(str(made["id"]))
    answer.model = str(made.get("model") or answer.model)
    answer.usage = made.get("usage") or answer.usage
