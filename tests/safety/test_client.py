"""Shields in library mode: ``caravan.client`` over the bus, in the name of its tenant."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from caravan.client import APITimeoutError, BadRequestError, Caravan, NotFoundError
from tests.mesh.running import RunningMesh


@pytest.fixture
async def bus(mesh: RunningMesh) -> AsyncIterator[Caravan]:
    data = mesh.folder / "data"
    if not (data / "bus" / "dora.nk").is_file():
        done = mesh.command("bus", "user", "add", "dora", "--tenant", "acme")
        assert done.returncode == 0, done.stdout + done.stderr
    async with Caravan.connect(data_dir=data, user="dora", max_retries=0, timeout=20) as made:
        yield made


async def test_texts_are_moderated(bus: Caravan) -> None:
    made = await bus.moderations.create(input=["all is well", "4111 1111 1111 1111"], model="pii")
    harmless, card = made.results
    assert (harmless.flagged, card.flagged) == (False, True)
    assert card.categories["pii/credit_card"] is True
    assert card.category_scores["hate"] == 0
    assert made.id.startswith("modr-")


async def test_a_shield_is_run(bus: Caravan) -> None:
    found = await bus.safety.run_shield(shield_id="pii", messages=[{"role": "user", "content": "ada@example.org"}])
    assert found.violation is not None
    assert found.violation.violation_level == "error"
    assert found.violation.metadata["violation_type"] == "email"
    message = {"role": "user", "content": "hello"}
    assert (await bus.safety.run_shield(shield_id="pii", messages=[message])).violation is None


async def test_shields_are_listed_without_their_settings(bus: Caravan, amy: Any, bea: Any, mesh: RunningMesh) -> None:
    for http, name in ((amy, "acme-words"), (bea, "other-words")):
        body = {"shield_id": name, "provider_type": "inline::keywords", "params": {"words": ["hush"]}}
        assert http.post("/v1/shields", json=body).status_code == 200
    mesh.until(lambda: "acme-words" in amy.get("/v1/shields").text)
    names: list[str] = []
    async with asyncio.timeout(15):  # the safety service hears of it as the gateway does, a moment apart
        while "acme-words" not in names:
            names = [each.identifier async for each in bus.shields.list()]
    assert {"pii", "guard"} < set(names)
    assert "other-words" not in names
    found = await bus.shields.retrieve("acme-words")
    assert (found.provider_type, found.provider_id) == ("inline::keywords", "keywords")
    assert "hush" not in found.to_json()
    with pytest.raises(NotFoundError, match="no shield 'other-words'"):
        await bus.shields.retrieve("other-words")
    for http, name in ((amy, "acme-words"), (bea, "other-words")):
        assert http.delete(f"/v1/shields/{name}").status_code == 204
    mesh.until(lambda: "acme-words" not in amy.get("/v1/shields").text)


async def test_what_is_wrong_has_the_names_of_the_openai_client(bus: Caravan) -> None:
    with pytest.raises(NotFoundError) as missing:
        await bus.moderations.create(input="x", model="none")
    assert missing.value.param == "shield_id"
    with pytest.raises(BadRequestError, match="input"):
        await bus.moderations.create(input=7)  # type: ignore[arg-type]
    with pytest.raises(APITimeoutError):
        await bus.moderations.create(input="x", model="slow-guard", timeout=1)
