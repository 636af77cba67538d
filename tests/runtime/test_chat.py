"""``caravan chat`` against a small scripted server."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from caravan.cli.chat import Conversation
from caravan.cli.gateway import Gateway, GatewayError


class Scripted(ThreadingHTTPServer):
    """Answers a chat with `words`; then [DONE], an error event, nothing at all, or words for ever."""

    daemon_threads = True
    words = ("A ", "caravan.")
    end = "done"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[dict[str, Any]] = []
        self.gone = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Scripted

    def do_GET(self) -> None:
        models = [{"id": "embedder", "model_type": "embedding"}, {"id": "talker", "model_type": "llm"}]
        self.reply(200, {"data": models})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append(body)
        if body["model"] == "missing":
            self.reply(404, {"error": {"message": "there is no model 'missing'"}})
            return
        self.send_response(200)
        self.end_headers()
        for word in self.server.words:
            self.event({"choices": [{"delta": {"content": word}}]})
        if self.server.end == "done":
            self.wfile.write(b": heartbeat\n\ndata: [DONE]\n\n")
        elif self.server.end == "error":
            self.event({"error": {"message": "the worker died"}})
        while self.server.end == "never":
            try:
                self.event({"choices": [{"delta": {"content": "."}}]})
                time.sleep(0.01)
            except OSError:
                self.server.gone.set()
                return

    def event(self, event: object) -> None:
        self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")
        self.wfile.flush()

    def reply(self, status: int, body: object) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted() as scripted:
        thread = threading.Thread(target=scripted.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield scripted
        scripted.end = "done"
        scripted.shutdown()
        thread.join()


def test_the_answer_is_printed_and_remembered(server: Scripted, capsys: pytest.CaptureFixture[str]) -> None:
    talk = Conversation(Gateway(server.url), "talker", "be brief")
    talk.ask("What?")
    assert capsys.readouterr().out == "A caravan.\n"
    talk.ask("And?")
    assert [message["content"] for message in server.asked[1]["messages"]] == [
        "be brief",
        "What?",
        "A caravan.",
        "And?",
    ]


@pytest.mark.parametrize(("end", "message"), [("error", "the worker died"), ("cut", "broke off")])
def test_a_broken_answer_never_looks_complete(server: Scripted, end: str, message: str) -> None:
    server.end = end
    with pytest.raises(GatewayError, match=message):
        Conversation(Gateway(server.url), "talker", None).ask("What?")


def test_the_gateways_own_message_is_shown(server: Scripted) -> None:
    with pytest.raises(GatewayError, match=r"there is no model 'missing' \[HTTP 404\]"):
        Conversation(Gateway(server.url), "missing", None).ask("What?")


def test_it_reads_a_question_from_a_pipe_and_takes_the_first_chat_model(server: Scripted) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "caravan", "chat", "--url", server.url],
        input="What is this?", capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "A caravan.\n"), done.stderr
    assert server.asked[0]["model"] == "talker"


def test_ctrl_c_stops_the_answer_and_not_the_talk(server: Scripted) -> None:
    server.end = "never"
    terminal, other_end = pty.openpty()
    command = [sys.executable, "-m", "caravan", "chat", "--url", server.url]
    with subprocess.Popen(command, stdin=other_end, stdout=other_end, stderr=other_end) as talk:
        os.close(other_end)
        try:
            read_until(terminal, b"> ")
            os.write(terminal, b"What?\n")
            read_until(terminal, b"caravan.")
            talk.send_signal(signal.SIGINT)
            read_until(terminal, b"(stopped)")
            assert server.gone.wait(5)  # the connection is closed, so the model stops
            os.write(terminal, b"/exit\n")
            assert talk.wait(10) == 0
        finally:
            talk.kill()
            os.close(terminal)


def read_until(terminal: int, text: bytes, seconds: float = 20.0) -> None:
    seen = b""
    until = time.monotonic() + seconds
    while text not in seen:
        left = until - time.monotonic()
        assert left > 0, seen
        if select.select([terminal], [], [], left)[0]:
            seen += os.read(terminal, 4096)
