"""Shields of the registry in use: bounds, time limits, changes, owners."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from caravan_bus.catalog import Catalog
from caravan_bus.registry_view import RegistryView
from caravan_contracts.context import Principal
from caravan_contracts.errors import UpstreamFailed
from caravan_contracts.registry import Resource, ResourceKind, Source
from caravan_safety.shields.asking import Answer, Asking
from caravan_safety.shields.base import Opinion, Passage, checked
from caravan_safety.shields.opened import Shields
from caravan_safety.shields.parts import Parts


class Slow:
    """A model that answers when it may."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.asked = 0
        self.most = 0
        self.answer = "safe"
        self.fails_at = 0
        self.nobody = asyncio.Event()
        """Whether nobody waits for an answer any more."""
        self._now = 0

    async def chat(self, *_: Any) -> Answer:
        self.asked += 1
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            if self.asked == self.fails_at:
                raise UpstreamFailed("the second")
            await self.go.wait()
        finally:
            self._now -= 1
            if not self._now:
                self.nobody.set()
        return Answer(self.answer, {})


def words(id: str, *found: str, tenant: str = "default", revision: int = 1) -> Resource:
    return shield(id, "inline::keywords", tenant, revision, params={"words": found})


def shield(id: str, kind: str, tenant: str = "default", revision: int = 1, **body: Any) -> Resource:
    return Resource(
        tenant=tenant,
        kind=ResourceKind.SHIELD,
        id=id,
        revision=revision,
        source=Source.API,
        created=1,
        body={"provider_type": kind, **body},
    )


GUARD = shield("guard", "inline::llama-guard", provider_shield_id="m")


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def catalog() -> Catalog:
    return Catalog()


@pytest.fixture
def shields(slow: Slow, catalog: Catalog) -> Shields:
    view = cast("RegistryView", SimpleNamespace(catalog=catalog))
    return Shields(view, lambda tenant: Parts(tenant, cast("Asking", slow)), at_once=2)


def passage(text: str, tenant: str = "default") -> Passage:
    return Passage([text], principal=Principal(tenant))


async def test_a_shield_without_a_verdict_in_time_says_so(shields: Shields, catalog: Catalog) -> None:
    catalog.apply([GUARD])
    verdict = await shields.verdict("guard", passage("x"), 0.01)
    assert (verdict.flagged, verdict.error) == (False, "no verdict within 0.01 s")


async def test_so_many_passages_are_looked_at_at_once_and_so_many_wait(
    shields: Shields, catalog: Catalog, slow: Slow
) -> None:
    catalog.apply([GUARD])
    asked = [asyncio.create_task(shields.verdict("guard", passage(f"{i}"), 30)) for i in range(20)]
    done, waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    assert len(waiting) == 18  # two of them are looked at, sixteen wait
    assert {"enough to do" in task.result().error for task in done} == {True}
    slow.go.set()
    assert [(await task).error for task in waiting] == [""] * 18
    assert slow.most == 2


async def test_who_gives_up_waiting_makes_room(shields: Shields, catalog: Catalog, slow: Slow) -> None:
    catalog.apply([GUARD])
    given_up = [shields.verdict("guard", passage("x"), 0.01) for _ in range(18)]
    assert all("no verdict" in each.error for each in await asyncio.gather(*given_up))
    slow.go.set()
    assert not (await shields.verdict("guard", passage("x"), 30)).error


async def test_a_changed_shield_is_made_again(shields: Shields, catalog: Catalog) -> None:
    catalog.apply([words("w", "apollo")])
    assert (await shields.verdict("w", passage("apollo"), 5)).flagged
    catalog.apply([words("w", "gemini", revision=2)])
    assert not (await shields.verdict("w", passage("apollo"), 5)).flagged
    assert (await shields.verdict("w", passage("gemini"), 5)).flagged


async def test_a_shared_shield_is_nobody_s_to_replace(shields: Shields, catalog: Catalog) -> None:
    catalog.apply([words("w", "apollo"), words("w", "nothing", tenant="acme"), words("own", "x", tenant="acme")])
    assert (await shields.verdict("w", passage("apollo", "acme"), 5)).flagged
    assert (await shields.verdict("own", passage("x", "acme"), 5)).flagged
    assert "no shield 'own'" in (await shields.verdict("own", passage("x", "other"), 5)).error


async def test_settings_that_cannot_be_used_are_said_in_the_verdict(shields: Shields, catalog: Catalog) -> None:
    catalog.apply([shield("w", "inline::keywords", params={"word": ["x"]}), shield("new", "inline::of-tomorrow")])
    assert "params.word" in (await shields.verdict("w", passage("x"), 5)).error
    assert "inline::of-tomorrow" in (await shields.verdict("new", passage("x"), 5)).error


async def test_an_error_does_not_repeat_what_was_looked_at(shields: Shields, catalog: Catalog, slow: Slow) -> None:
    """A model that gives no verdict often quotes the text, and errors go into the audit."""
    catalog.apply([GUARD, shield("judge", "inline::llm-judge", provider_shield_id="m")])
    slow.answer = "I cannot say anything about 4111 1111 1111 1111"
    slow.go.set()
    for name in ("guard", "judge"):
        verdict = await shields.verdict(name, passage("4111 1111 1111 1111"), 5)
        assert verdict.error
        assert "4111" not in verdict.model_dump_json()


def test_what_an_opinion_says_is_bounded() -> None:
    many = {f"c{i}": i / 100 for i in range(100)}
    kept = checked(Opinion(True, {**many, "top": 1.0000001}, message="m" * 5000))
    assert len(kept.categories) == 64
    assert (kept.categories["top"], kept.categories["c99"], "c0" in kept.categories) == (1.0, 0.99, False)
    assert len(kept.message) == 1024
    with pytest.raises(UpstreamFailed, match="no number"):
        checked(Opinion(True, {"x": float("nan")}))


async def test_when_one_piece_has_no_verdict_the_others_are_given_up(
    shields: Shields, catalog: Catalog, slow: Slow
) -> None:
    catalog.apply([shield("guard", "inline::llama-guard", provider_shield_id="m", params={"max_characters": 256})])
    slow.fails_at = 2
    verdict = await shields.verdict("guard", passage("a" * 256 * 8), 30)
    assert verdict.error == "the second"
    await asyncio.wait_for(slow.nobody.wait(), 5)
    assert slow.asked < 8
