"""``caravan eval retrieval`` against a server that answers as the contract says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from caravan_contracts.vectors import Found, FoundText, SearchPage, SearchStore
from typer.testing import CliRunner

from caravan.cli.app import app
from caravan.errors import StartError

FILES = {"file-1": "camels.md", "file-2": "salt.md"}


class _Server(ThreadingHTTPServer):
    asked: list[SearchStore]


class _Handler(BaseHTTPRequestHandler):
    """One store; a search in mode keyword finds the files the other way round."""

    server: _Server

    def do_GET(self) -> None:
        known = self.path == "/v1/vector_stores/vs_1"
        self._answer(200 if known else 404, {"id": "vs_1"} if known else {"error": {"message": "no vector store"}})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        asked = SearchStore(store="vs_1", queries=[body.pop("query")], **body)
        self.server.asked.append(asked)
        order = sorted(FILES, reverse=asked.search_mode == "keyword")
        hits = [
            Found(file_id=file, filename=FILES[file], score=0.5, attributes={}, content=[FoundText(text=f"of {file}")])
            for file in order
        ]
        self._answer(200, SearchPage(search_query=asked.queries, data=hits).model_dump())

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[_Server]:
    made = _Server(("127.0.0.1", 0), _Handler)
    made.asked = []
    thread = Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join(10)


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = tmp_path / "questions.jsonl"
    rows = [
        {"question": "What do camels carry?", "file_id": "file-1"},
        {"question": "And what else?", "text": "file-2"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def run(server: _Server, questions: Path, *more: str, store: str = "vs_1") -> Any:
    url = f"http://127.0.0.1:{server.server_port}"
    command = ["eval", "retrieval", "--url", url, "--store", store, "--questions", str(questions), *more]
    return CliRunner().invoke(app, command, env={"COLUMNS": "200"})


def test_every_way_is_asked_and_counted(server: _Server, questions: Path) -> None:
    done = run(server, questions, "--json", "--rerank", "local/reranker")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert {row["search"]: row["ranks"] for row in found["searches"]} == {
        "vector": [1, 2],
        "keyword": [2, 1],
        "hybrid, rrf": [1, 2],
        "hybrid, weighted": [1, 2],
        "hybrid, reranked by local/reranker": [1, 2],
    }
    assert (found["store"], found["searches"][0]["recall@1"], found["searches"][0]["recall@5"]) == ("vs_1", 0.5, 1)
    asked = server.asked[::2]
    assert [each.search_mode for each in asked] == ["vector", "keyword", "hybrid", "hybrid", "hybrid"]
    assert asked[4].ranking_options == {"ranker": "neural", "model": "local/reranker"}
    assert all(each.max_num_results == 10 and not each.rewrite_query for each in asked)


def test_one_way_as_a_table(server: _Server, questions: Path) -> None:
    done = run(server, questions, "--only", "keyword")
    assert done.exit_code == 0, done.output
    assert "keyword" in done.stdout and "0.500" in done.stdout and "nDCG@10" in done.stdout
    assert "vector" not in done.stdout


def test_what_is_not_there_is_said(server: _Server, questions: Path, tmp_path: Path) -> None:
    problems = [
        (run(server, questions, store="vs_2"), "no vector store"),
        (
            run(server, questions, "--only", "magic"),
            "There is no search 'magic'. There are: vector; keyword; hybrid, rrf",
        ),
        (run(server, tmp_path / "none"), "cannot be read"),
    ]
    for done, problem in problems:
        assert isinstance(done.exception, StartError)
        assert problem in str(done.exception)
    assert server.asked == []
