"""Safety over HTTP, in a mesh: OpenAI's SDK, Llama Stack's shapes, the audit, tenants."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import httpx2 as httpx
import pytest
from openai import NotFoundError, OpenAI

from tests.mesh.running import RunningMesh
from tests.upstream.scripted import ScriptedUpstream

NO_PRESIDIO = (400, "no model 'none'") if find_spec("presidio_analyzer") else (503, "INSTALL_PRESIDIO=1")
HOOK = {"shield_id": "x", "provider_type": "remote::webhook"}
WORDS = {"shield_id": "x", "provider_id": "keywords"}
URL = "https://example.org/hook"
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
RUN, SHIELDS, VERDICTS = "/v1/safety/run-shield", "/v1/shields", "/v1/safety/verdicts"


def error(answer: httpx.Response) -> Any:
    return answer.json()["error"]


def verdicts(mesh: RunningMesh, http: httpx.Client, **wanted: Any) -> list[dict[str, Any]]:
    """As soon as the audit has any: it is written behind the answer."""
    found: list[dict[str, Any]] = []

    def there() -> bool:
        answer = http.get(VERDICTS, params=wanted)
        assert answer.status_code == 200, answer.text
        found[:] = answer.json()["data"]
        return bool(found)

    mesh.until(there)
    return found


def test_the_sdk_moderates_texts(client: OpenAI) -> None:
    made = client.moderations.create(input=["all is well", "write to ada@example.org"])
    harmless, mail = made.results
    assert made.id.startswith("modr-")
    assert made.model == "pii+secrets"
    assert not harmless.flagged
    assert not any(harmless.categories.model_dump().values())
    assert mail.flagged
    assert mail.categories.model_dump()["pii"] is True
    assert mail.category_scores.model_dump()["pii/email"] == 1.0
    assert mail.category_applied_input_types.model_dump()["pii/email"] == ["text"]
    assert mail.categories.hate is False


def test_a_llama_guard_on_the_bus_moderates(client: OpenAI, upstream: ScriptedUpstream) -> None:
    made = client.moderations.create(input="how do I build a bomb", model="guard").results[0]
    assert made.flagged
    assert made.categories.illicit_violent is True
    assert made.categories.model_dump()["indiscriminate-weapons"] is True
    assert not client.moderations.create(input="how do I build a shed", model="guard").results[0].flagged
    asked = upstream.asked("guard")[-1].body
    assert asked["temperature"] == 0
    assert "S10: Hate." in asked["messages"][0]["content"]
    assert "S14" not in asked["messages"][0]["content"]


def test_the_last_message_is_judged_in_the_conversation(ada: httpx.Client, upstream: ScriptedUpstream) -> None:
    messages = [
        {"role": "user", "content": "I want to steal a car"},
        {"role": "assistant", "content": "I will not help"},
    ]
    assert ada.post(RUN, json={"shield_id": "guard", "messages": messages}).json() == {"violation": None}
    prompt = upstream.asked("guard")[-1].body["messages"][0]["content"]
    assert "User: I want to steal a car\n\nAgent: I will not help" in prompt
    assert "ONLY THE LAST Agent message" in prompt
    found = ada.post(RUN, json={"shield_id": "guard", "messages": messages[:1]}).json()["violation"]
    assert found["violation_level"] == "error"
    assert found["metadata"]["violation_type"] == "non-violent-crimes"


def test_a_shield_that_finds_places_looks_at_every_message(ada: httpx.Client) -> None:
    messages = [
        {"role": "user", "content": "ada@example.org"},
        {"role": "assistant", "content": [{"type": "text", "text": "ok"}]},
    ]
    found = ada.post(RUN, json={"shield_id": "pii", "messages": messages, "params": {}}).json()["violation"]
    assert found["metadata"]["findings"] == [{"text": 0, "start": 0, "end": 15, "label": "email"}]


def test_a_cascade_asks_the_expensive_shield_only_when_the_cheap_one_is_unsure(
    client: OpenAI, upstream: ScriptedUpstream
) -> None:
    before = len(upstream.asked("guard"))
    assert client.moderations.create(input="ada@example.org", model="careful").results[0].flagged
    assert len(upstream.asked("guard")) == before
    assert client.moderations.create(input="where to stab", model="careful").results[0].categories.violence is True
    assert len(upstream.asked("guard")) == before + 1


def test_a_verdict_is_a_row_of_the_audit_without_the_text(
    mesh: RunningMesh, ada: httpx.Client, amy: httpx.Client
) -> None:
    answer = ada.post("/v1/moderations", json={"input": "4111 1111 1111 1111", "model": "pii"})
    [row] = verdicts(mesh, amy, request_id=answer.headers["x-request-id"])
    assert row["shield"] == "pii"
    assert row["subject"] == "ada"
    assert row["flagged"] is True
    assert row["categories"] == {"credit_card": 1.0}
    assert row["characters"] == 19
    assert "4111" not in str(row)
    assert ada.get(VERDICTS).status_code == 403
    assert (
        mesh.metric("safety-1", "caravan_shield_verdicts_total")
        + mesh.metric("safety-2", "caravan_shield_verdicts_total")
        > 0
    )


def test_pages_of_the_audit_follow_one_another(mesh: RunningMesh, ada: httpx.Client, amy: httpx.Client) -> None:
    answer = ada.post("/v1/moderations", json={"input": ["a", "b", "c"], "model": "secrets"})
    name = answer.headers["x-request-id"]
    mesh.until(lambda: len(verdicts(mesh, amy, request_id=name)) == 3)
    first = amy.get(VERDICTS, params={"request_id": name, "limit": 2}).json()
    rest = amy.get(VERDICTS, params={"request_id": name, "limit": 2, "after": first["last_id"]}).json()
    assert (first["has_more"], rest["has_more"]) == (True, False)
    assert len({row["id"] for row in first["data"] + rest["data"]}) == 3
    assert amy.get(VERDICTS, params={"after": "vrd_none"}).status_code == 404


def test_shields_are_registered_changed_and_forgotten_at_run_time(
    mesh: RunningMesh, amy: httpx.Client, ada: httpx.Client
) -> None:
    body = {"shield_id": "house", "provider_id": "keywords", "params": {"words": ["project apollo"]}}
    made = amy.post(SHIELDS, json=body).json()
    assert made["identifier"] == "house"
    assert made["provider_type"] == "inline::keywords"
    assert made["params"] == body["params"]

    def flags(text: str) -> bool:
        return bool(ada.post("/v1/moderations", json={"input": text, "model": "house"}).json()["results"][0]["flagged"])

    mesh.until(lambda: ada.get(f"{SHIELDS}/house").status_code == 200)
    assert ada.get(f"{SHIELDS}/house").json()["params"] == {}
    assert flags("about Project  Apollo")
    amy.put(f"{SHIELDS}/house", json={"provider_type": "inline::keywords", "params": {"words": ["gemini"]}})
    mesh.until(lambda: flags("gemini") and not flags("Project Apollo"))
    assert "house" in [row["identifier"] for row in ada.get(SHIELDS).json()["data"]]
    assert amy.delete(f"{SHIELDS}/house").status_code == 204
    mesh.until(lambda: ada.get(f"{SHIELDS}/house").status_code == 404)


def test_tenants_see_nothing_of_each_other(
    mesh: RunningMesh, amy: httpx.Client, bea: httpx.Client, client: OpenAI
) -> None:
    amy.post(SHIELDS, json={"shield_id": "ours", "provider_type": "inline::keywords", "params": {"words": ["w"]}})
    rail = {"id": "our-rail", "checks": [{"stages": ["input"], "shields": ["ours"]}]}
    assert amy.post("/v1/guardrails", json=rail).status_code == 200
    mesh.until(lambda: "ours" in amy.get(SHIELDS).text and "our-rail" in amy.get("/v1/guardrails").text)
    assert client.moderations.create(input="w", model="ours").results[0].flagged
    assert len(verdicts(mesh, amy, shield="ours")) == 1
    assert "ours" not in bea.get(SHIELDS).text
    assert "our-rail" not in bea.get("/v1/guardrails").text
    assert bea.get(f"{SHIELDS}/ours").status_code == 404
    assert bea.delete(f"{SHIELDS}/ours").status_code == 404
    assert bea.delete("/v1/guardrails/our-rail").status_code == 404
    assert bea.post("/v1/moderations", json={"input": "w", "model": "ours"}).status_code == 404
    assert bea.post(RUN, json={"shield_id": "ours", "messages": [{"role": "user", "content": "w"}]}).status_code == 404
    assert bea.get(VERDICTS, params={"shield": "ours"}).json()["data"] == []
    assert amy.delete("/v1/guardrails/our-rail").json()["deleted"] is True


def test_no_tenant_puts_a_shield_in_the_place_of_a_shared_one(bea: httpx.Client) -> None:
    body = {"shield_id": "pii", "provider_type": "inline::keywords", "params": {"words": ["nothing"]}}
    assert bea.post(SHIELDS, json=body).status_code == 409
    assert bea.delete(f"{SHIELDS}/pii").status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        (SHIELDS, {"shield_id": "x"}, 400, "provider_type"),
        (SHIELDS, {"shield_id": "x", "provider_type": "pii"}, 400, "inline::pii"),
        (SHIELDS, {**HOOK, "params": {"url": URL, "secret": "written out, in full"}}, 400, "env.NAME"),
        (SHIELDS, {**HOOK, "params": {"url": URL, "secret": "${env.HOME}"}}, 403, "TENANT_ACME__"),
        (SHIELDS, {**HOOK, "params": {"secret": "${env.TENANT_ACME__X}"}}, 400, "params.url"),
        (SHIELDS, {**WORDS, "params": {"expressions": ["("]}}, 400, "cannot be read"),
        (SHIELDS, {"shield_id": "x", "provider_id": "prompt-guard", "params": {"model_path": "/x"}}, 403, "files"),
        (SHIELDS, {"shield_id": "x", "provider_id": "presidio", "params": {"nlp_model": "none"}}, *NO_PRESIDIO),
        ("/v1/guardrails", {"id": "x", "checks": []}, 400, "checks"),
        ("/v1/guardrails", {"id": "x", "checks": [{"stages": ["input"], "shields": ["none"]}]}, 400, "'none'"),
        ("/v1/guardrails", {"id": "a,b", "checks": [{"stages": ["input"], "shields": ["pii"]}]}, 400, "comma"),
        ("/v1/moderations", {"input": []}, 400, "input"),
        ("/v1/moderations", {"input": [IMAGE], "model": "pii"}, 400, "images"),
        (RUN, {"shield_id": "none", "messages": [{"role": "user", "content": "w"}]}, 404, "there are"),
        (RUN, {"shield_id": "pii", "messages": []}, 400, "messages"),
    ],
)  # fmt: skip
def test_bad_input_is_told_what_to_do(amy: httpx.Client, path: str, body: Any, status: int, says: str) -> None:
    answer = amy.post(path, json=body)
    assert answer.status_code == status, answer.text
    assert says in error(answer)["message"] or says in str(error(answer)["param"])


def test_users_change_nothing(ada: httpx.Client) -> None:
    body = {"shield_id": "x", "provider_type": "inline::pii"}
    assert ada.post(SHIELDS, json=body).status_code == 403
    assert ada.delete(f"{SHIELDS}/pii").status_code == 403
    assert ada.get("/v1/guardrails").status_code == 403


def test_the_stack_file_has_shields_and_guardrails(root: httpx.Client) -> None:
    names = [row["identifier"] for row in root.get(SHIELDS).json()["data"]]
    assert {"pii", "secrets", "guard", "careful"} <= set(names)
    assert "absent" not in names
    rail = root.get("/v1/guardrails/looked-at").json()
    assert rail["checks"][0]["shields"] == ["guard"]
    assert rail["source"] == "stack"
    assert error(root.delete(f"{SHIELDS}/pii"))["code"] == "conflict"


def test_a_shield_that_nobody_has_is_told_by_the_sdk(client: OpenAI) -> None:
    with pytest.raises(NotFoundError, match="no shield 'omni-moderation-latest'"):
        client.moderations.create(input="x", model="omni-moderation-latest")
