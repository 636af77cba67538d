"""Routes over HTTP and with the command, in a whole mesh."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import httpx2 as httpx
import pytest

from tests.mesh.running import RunningMesh

BODY = {"targets": ["up/plain", {"model": "up/other", "weight": 2}], "timeouts": {"first_token": 5}}


@pytest.fixture(autouse=True)
def tidy(mesh: RunningMesh) -> Iterator[None]:
    yield
    for row in mesh.get("/v1/routes")["data"]:
        mesh.command("routes", "rm", row["id"])


def until_known(mesh: RunningMesh, name: str) -> float:
    begun = time.monotonic()
    mesh.until(lambda: name in mesh.model_ids(), 15)
    return time.monotonic() - begun


def test_a_route_is_put_read_replaced_and_deleted(mesh: RunningMesh, http: httpx.Client) -> None:
    made = http.post("/v1/routes", json={"name": "team/smart", **BODY})
    assert made.status_code == 200, made.text
    assert made.json()["id"] == "team/smart" and made.json()["object"] == "route"
    assert [target["model"] for target in made.json()["targets"]] == ["up/plain", "up/other"]
    until_known(mesh, "team/smart")
    assert http.get("/v1/routes/team/smart").json() == made.json()
    assert [row["id"] for row in http.get("/v1/routes").json()["data"]] == ["team/smart"]
    changed = http.put("/v1/routes/team/smart", json={"targets": ["up/plain"], "strategy": "weighted"})
    assert changed.json()["strategy"] == "weighted" and changed.json()["revision"] > made.json()["revision"]
    assert http.delete("/v1/routes/team/smart").json() == {"id": "team/smart", "object": "route", "deleted": True}
    mesh.until(lambda: "team/smart" not in mesh.model_ids(), 15)
    assert http.get("/v1/routes/team/smart").status_code == 404


def test_a_route_is_listed_as_a_model_that_tells_its_targets(mesh: RunningMesh, http: httpx.Client) -> None:
    http.put("/v1/routes/listed", json=BODY)
    until_known(mesh, "listed")
    shown = http.get("/v1/models/listed").json()
    assert shown["object"] == "model" and shown["model_type"] == "llm"
    assert shown["custom_metadata"]["provider_type"] == "route"
    assert shown["custom_metadata"]["targets"] == ["up/plain", "up/other"]
    assert shown in http.get("/v1/models").json()["data"]


def test_a_route_answers_as_the_model_it_stands_for(mesh: RunningMesh, http: httpx.Client) -> None:
    http.put("/v1/routes/asked", json={"targets": ["up/plain"]})
    until_known(mesh, "asked")
    body = {"model": "asked", "messages": [{"role": "user", "content": "hello"}]}
    answer = http.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"] == "w0 w1 w2 w3 "


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"targets": []}, 400, "at least 1 item"),
        ({"targets": ["up/plain"], "timeout": {"total": 3}}, 400, "Did you mean 'timeouts'"),
        ({"targets": ["up/plain"], "timeouts": {"first_tokn": 3}}, 400, "Did you mean 'first_token'"),
        ({"targets": ["wrong"]}, 400, "the route itself"),
        ({"targets": ["up/plain"], "id": "other"}, 400, "the body names the route"),
        ({"targets": ["up/plain"], "rules": [{"when": {}, "targets": ["x"]}]}, 400, "none of the route's"),
        ([], 400, "valid dictionary"),
    ],
)
def test_a_mistake_is_told(http: httpx.Client, body: object, status: int, text: str) -> None:
    answer = http.put("/v1/routes/wrong", json=body)
    assert answer.status_code == status, answer.text
    assert text in answer.json()["error"]["message"]


def test_a_name_of_a_model_is_refused(http: httpx.Client) -> None:
    answer = http.put("/v1/routes/nickname", json={"targets": ["up/plain"]})
    assert answer.status_code == 409
    assert "a name of the model 'house-model'" in answer.json()["error"]["message"]


def test_the_openapi_document_describes_them(http: httpx.Client) -> None:
    paths = http.get("/openapi.json").json()["paths"]
    assert set(paths["/v1/routes"]) == {"get", "post"}
    assert set(paths["/v1/routes/{route}"]) == {"get", "put", "delete"}


def test_the_command_adds_shows_lists_and_removes(mesh: RunningMesh) -> None:
    options = ["--set", "timeouts.first_token=5", "--set", "retry.same_target=0"]
    added = mesh.command("routes", "add", "by-command", "up/plain", "later/model", *options)
    assert added.returncode == 0, added.stderr
    until_known(mesh, "by-command")
    shown = json.loads(mesh.command("routes", "show", "by-command").stdout)
    assert shown["timeouts"]["first_token"] == 5 and shown["retry"]["same_target"] == 0
    assert "up/plain, later/model" in mesh.command("routes").stdout
    written = "strategy: weighted\ntargets:\n  - {model: up/plain, weight: 3}\n"
    replaced = mesh.command("routes", "add", "by-command", "--file", "-", stdin=written)
    assert replaced.returncode == 0, replaced.stderr
    mesh.until(lambda: "up/plain (3)" in mesh.command("routes", "list").stdout, 15)
    assert mesh.command("routes", "rm", "by-command").returncode == 0
    gone = mesh.command("routes", "rm", "by-command")
    assert gone.returncode == 1 and "no route 'by-command'" in gone.stderr
