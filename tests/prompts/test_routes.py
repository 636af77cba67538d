"""Prompts over HTTP, through two gateways and two agents services."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2 as httpx
import pytest

from tests.mesh.running import RunningMesh

NOWHERE = "pmpt_" + "0" * 48


@pytest.fixture
def stranger(mesh: RunningMesh) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=mesh.url, timeout=30, headers={"Authorization": "Bearer key-bob"}) as made:
        yield made


def make(http: httpx.Client, prompt: str = "Hello {{name}}", **more: Any) -> Any:
    answer = http.post("/v1/prompts", json={"prompt": prompt, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def error(answer: httpx.Response, status: int) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


def test_a_prompt_from_beginning_to_end(http: httpx.Client) -> None:
    made = make(http, "{{greeting}}, {{name}}!", variables=["name", "greeting"])
    name = made["prompt_id"]
    assert re.fullmatch("pmpt_[0-9a-f]{48}", name)
    assert made == {
        "prompt_id": name,
        "prompt": "{{greeting}}, {{name}}!",
        "version": 1,
        "variables": ["greeting", "name"],
        "is_default": True,
    }
    second = http.put(
        f"/v1/prompts/{name}", json={"prompt": "Bye {{name}}", "version": 1, "variables": ["name"]}
    ).json()
    assert (second["version"], second["is_default"], second["variables"]) == (2, True, ["name"])
    third = http.put(f"/v1/prompts/{name}", json={"prompt": "Psst", "version": 2, "set_as_default": False}).json()
    assert (third["version"], third["is_default"], third["variables"]) == (3, False, [])
    assert http.get(f"/v1/prompts/{name}").json() == second
    assert http.get(f"/v1/prompts/{name}", params={"version": 1}).json() == {**made, "is_default": False}
    assert http.get(f"/v1/prompts/{name}", params={"version": 3}).json() == third
    chosen = http.put(f"/v1/prompts/{name}/set-default-version", json={"version": 1})
    assert chosen.json() == made
    versions = http.get(f"/v1/prompts/{name}/versions").json()
    assert versions["data"] == [made, {**second, "is_default": False}, third]
    assert versions["has_more"] is False
    assert made in http.get("/v1/prompts").json()["data"]
    assert http.delete(f"/v1/prompts/{name}").json() == {"id": name, "object": "prompt.deleted", "deleted": True}
    assert error(http.get(f"/v1/prompts/{name}"), 404)["param"] == "prompt_id"


def test_a_change_to_an_old_version_is_refused(http: httpx.Client) -> None:
    name = make(http)["prompt_id"]
    assert http.put(f"/v1/prompts/{name}", json={"prompt": "2", "version": 1}).status_code == 200
    for version in (1, 3):
        told = error(http.put(f"/v1/prompts/{name}", json={"prompt": "x", "version": version}), 409)
        assert (told["code"], told["param"]) == ("version_conflict", "version")
        assert "is 2, not" in told["message"]


def test_of_writers_at_once_one_wins(http: httpx.Client, mesh: RunningMesh) -> None:
    name = make(http)["prompt_id"]

    def change(number: int) -> int:
        headers = {"Authorization": "Bearer key-ada"}
        body = {"prompt": f"by {number}", "version": 1}
        return httpx.put(f"{mesh.url}/v1/prompts/{name}", json=body, headers=headers, timeout=30).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(change, range(8))) == [200] + [409] * 7
    assert [row["version"] for row in http.get(f"/v1/prompts/{name}/versions").json()["data"]] == [1, 2]


def test_variables_are_those_of_the_template(http: httpx.Client) -> None:
    told = error(http.post("/v1/prompts", json={"prompt": "{{a}} {{b}}", "variables": ["a"]}), 400)
    assert told["param"] == "variables"
    assert "'b'" in told["message"]
    told = error(http.post("/v1/prompts", json={"prompt": "{{a}}", "variables": ["a", "c"]}), 400)
    assert "'c'" in told["message"]
    name = make(http)["prompt_id"]
    assert error(http.put(f"/v1/prompts/{name}", json={"prompt": "{{x}}", "version": 1, "variables": []}), 400)
    assert http.get(f"/v1/prompts/{name}").json()["version"] == 1


def test_bad_bodies_are_refused_with_their_field(http: httpx.Client) -> None:
    name = make(http)["prompt_id"]
    for body, param in (
        ({}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": "a\0b"}, "prompt"),
        ({"prompt": "x" * 70_000}, "prompt"),
        ({"prompt": 1}, "prompt"),
        ({"prompt": "x", "variables": "a"}, "variables"),
    ):
        assert error(http.post("/v1/prompts", json=body), 400)["param"] == param
    for body in ({"prompt": "x"}, {"prompt": "x", "version": 0}, {"prompt": "x", "version": 2**40}):
        assert error(http.put(f"/v1/prompts/{name}", json=body), 400)["param"] == "version"
    assert error(http.put(f"/v1/prompts/{name}/set-default-version", json={}), 400)["param"] == "version"
    for version in (0, -1, 2**40, "x"):
        assert http.get(f"/v1/prompts/{name}", params={"version": version}).status_code == 400
    assert error(http.get(f"/v1/prompts/{name}", params={"version": 7}), 404)["param"] == "version"
    assert error(http.put(f"/v1/prompts/{name}/set-default-version", json={"version": 7}), 404)["param"] == "version"
    assert http.post("/v1/prompts", content=b"{").status_code == 400


def test_what_is_not_there_or_anothers_is_a_404(http: httpx.Client, stranger: httpx.Client) -> None:
    made = make(http)
    for who, name in ((stranger, made["prompt_id"]), (http, NOWHERE), (http, "pmpt_x"), (http, "a%00b")):
        change = {"prompt": "mine", "version": 1}
        for answer in (
            who.get(f"/v1/prompts/{name}"),
            who.get(f"/v1/prompts/{name}/versions"),
            who.put(f"/v1/prompts/{name}", json=change),
            who.put(f"/v1/prompts/{name}/set-default-version", json={"version": 1}),
            who.delete(f"/v1/prompts/{name}"),
        ):
            assert error(answer, 404)["param"] == "prompt_id"
        assert error(who.get("/v1/prompts", params={"after": name.replace("%00", "\0")}), 404)["param"] == "after"
    assert made not in stranger.get("/v1/prompts").json()["data"]
    assert http.get(f"/v1/prompts/{made['prompt_id']}").json() == made


def test_lists_have_pages_whatever_their_bytes(http: httpx.Client) -> None:
    """Forty prompts of 60 KB are several messages of the bus, and as many pages as the limit says."""
    ids = [make(http, f"{n} " + "x" * 60_000)["prompt_id"] for n in range(40)]
    page = http.get("/v1/prompts", params={"limit": 100}).json()
    seen = [row["prompt_id"] for row in page["data"]]
    assert seen[-40:] == ids
    short = http.get("/v1/prompts", params={"limit": 15, "after": ids[10]}).json()
    assert [row["prompt_id"] for row in short["data"]] == ids[11:26]
    assert short["has_more"] is True
    last = http.get("/v1/prompts", params={"after": ids[-1]}).json()
    assert (last["data"], last["has_more"]) == ([], False)
    for n in range(1, 30):
        http.put(f"/v1/prompts/{ids[0]}", json={"prompt": f"{n} " + "y" * 60_000, "version": n})
    versions = http.get(f"/v1/prompts/{ids[0]}/versions").json()
    assert [row["version"] for row in versions["data"]] == list(range(1, 31))
    some = http.get(f"/v1/prompts/{ids[0]}/versions", params={"after": 5, "limit": 3}).json()
    assert ([row["version"] for row in some["data"]], some["has_more"]) == ([6, 7, 8], True)
    for name in ids:
        http.delete(f"/v1/prompts/{name}")


def test_older_clients_use_post_and_their_prefix(http: httpx.Client) -> None:
    old = "/v1/openai/v1/prompts"
    name = http.post(old, json={"prompt": "Hi", "variables": []}).json()["prompt_id"]
    assert http.post(f"{old}/{name}", json={"prompt": "Ho", "version": 1}).json()["version"] == 2
    assert http.post(f"{old}/{name}/set-default-version", json={"version": 1}).json()["is_default"] is True
    assert http.get(f"{old}/{name}").json()["prompt"] == "Hi"


def test_nobody_asks_without_a_key(mesh: RunningMesh) -> None:
    assert httpx.get(f"{mesh.url}/v1/prompts").status_code == 401


def test_the_document_names_the_routes(http: httpx.Client) -> None:
    paths = http.get("/openapi.json").json()["paths"]
    assert set(paths["/v1/prompts"]) == {"get", "post"}
    assert set(paths["/v1/prompts/{prompt}"]) == {"get", "put", "delete"}
    assert set(paths["/v1/prompts/{prompt}/set-default-version"]) == {"put"}
