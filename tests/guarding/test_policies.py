"""Which guardrails concern a request, and what their verdicts mean."""

from __future__ import annotations

import asyncio
import re

import pytest
from caravan_bus.catalog import Catalog
from caravan_bus.guarding import escapes
from caravan_bus.guarding.checker import BusChecker
from caravan_bus.guarding.policy import Policies, names_of
from caravan_bus.guarding.ruling import Mask, masked, merged, ruled
from caravan_bus.requests import Requester
from caravan_bus.transport import Message
from caravan_contracts import subjects as s
from caravan_contracts.context import Principal, RequestContext
from caravan_contracts.errors import CaravanError, Unavailable
from caravan_contracts.registry import Resource
from caravan_contracts.safety import Check, Finding, Stage, Verdict, Verdicts
from hypothesis import given
from hypothesis import strategies as st

from tests.bus.lines import MemoryLine
from tests.guarding.shields import guardrail, needed, policy

ADA = Principal("acme", "ada")


@pytest.mark.parametrize(
    ("body", "concerned"),
    [
        ({}, True),
        ({"models": ["gpt-*"]}, True),
        ({"models": ["*mini"]}, True),
        ({"models": ["up/gpt-[4]-mini"]}, True),
        ({"models": ["gpt"]}, False),
        ({"models": []}, True),
        ({"subjects": ["ada"]}, True),
        ({"subjects": ["bob"]}, False),
        ({"on_request": True}, False),
    ],
)
@pytest.mark.parametrize("tenant", ["default", "acme"])
def test_what_a_guardrail_is_about(body: dict[str, object], concerned: bool, tenant: str) -> None:
    row = guardrail(tenant=tenant, **body)
    assert (policy(row, principal=ADA, names=["gpt-4", "up/gpt-[4]-mini"]) is not None) is concerned
    assert policy(guardrail(tenant="other", **body), principal=ADA, names=["gpt-4"]) is None


def test_a_guardrail_counts_while_it_is_there() -> None:
    catalog, policies = Catalog(), Policies()
    assert (catalog.guarded, policies.of(catalog, ["m"], ADA)) == (0, None)
    catalog.apply([guardrail()])
    made = policies.of(catalog, ["m"], ADA)
    assert made is not None
    assert policies.of(catalog, ["m"], ADA) is made
    catalog.apply([guardrail(action="observe")])
    changed = policies.of(catalog, ["m"], ADA)
    assert changed is not None
    assert (changed.gating(Stage.OUTPUT), changed.digest == made.digest) == ((), False)
    catalog.apply([], ["default/guardrail/g"])
    assert (catalog.guarded, policies.of(catalog, ["m"], ADA)) == (0, None)
    catalog.replace([guardrail()])
    assert policies.of(catalog, ["m"], ADA) is not None


def test_a_guardrail_of_a_newer_version_lets_nothing_pass() -> None:
    row = guardrail()
    row.body["unheard_of"] = 1
    with pytest.raises(Unavailable):
        policy(row)


def test_a_model_is_known_by_all_its_names() -> None:
    def made(kind: str, id: str, body: dict[str, object]) -> Resource:
        return Resource(tenant="default", kind=kind, id=id, revision=1, source="api", created=1, body=body)

    model = {"provider_id": "up", "provider_resource_id": "gpt", "aliases": ["nick"]}
    route = {"targets": [{"model": "house"}, {"model": "gone"}]}
    catalog = Catalog([made("provider", "up", {}), made("model", "house", model), made("route", "r", route)])
    assert names_of(catalog, "nick", "acme") == {"nick", "house", "up/gpt"}
    assert names_of(catalog, "r", "acme") == {"r", "house", "up/gpt"}


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 8))))
def test_masks_that_overlap_become_one(places: list[tuple[int, int]]) -> None:
    text = "abcdefghijklmnopqrstuvwxyzABCDEF"
    masks = merged(Mask(start, start + size, "") for start, size in places)
    hidden = {at for start, size in places for at in range(start, start + size)}
    assert masked(text, masks) == "".join(c for at, c in enumerate(text) if at not in hidden)


def test_what_a_shield_says_of_places_that_there_are_not_is_no_verdict() -> None:
    rule = needed(guardrail(action="mask")).rules[0]
    wrong = Verdict(shield="words", flagged=True, findings=[Finding(start=0, end=99, label="x")])
    assert ruled(rule, [wrong], ["short"], True).blocked is not None
    assert ruled(rule, [], ["short"], True).blocked is not None
    assert ruled(rule, [Verdict(shield="words")], ["short"], True).blocked is None


@given(st.text(), st.booleans(), st.integers(0, 200))
def test_arguments_say_what_json_says(text: str, ascii_only: bool, at: int) -> None:
    import json

    source = json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=ascii_only)[1:-1]
    said, places = escapes.said(source, True)
    assert said == json.loads(f'"{source}"')
    assert (len(places), places[-1]) == (len(said) + 1, len(source))
    some, places = escapes.said(source[:at], False)
    assert said.startswith(some), "an escape that is cut off is left out"
    assert json.loads(f'"{source[: places[-1]]}"') == some


class Workers:
    """Safety workers: each takes the questions that it is given."""

    def __init__(self, line: MemoryLine) -> None:
        self.line = line
        self.asked: list[Message] = []

    async def start(self, *answers: bool) -> BusChecker:
        """One after another they answer, or they do not."""
        worker, caller = await self.line.connect(), await self.line.connect()
        left = list(answers)

        def on_message(message: Message) -> None:
            self.asked.append(message)
            if left.pop(0):
                verdicts = Verdicts(verdicts=[Verdict(shield="words")])
                worker.publish(message.reply, verdicts.model_dump_json().encode(), "", b"")

        await worker.subscribe(s.request("safety", "check"), on_message)
        requester = Requester(caller, "gateway", "g")
        await requester.start()
        return BusChecker(requester)


CHECK = Check(shields=["words"], stage=Stage.INPUT, texts=["a"], timeout=1.0)


@pytest.mark.parametrize(("answers", "asked"), [((True,), 1), ((False, True), 2)])
async def test_a_dead_worker_is_followed_by_another(answers: tuple[bool, ...], asked: int) -> None:
    line = MemoryLine()
    await line.start()
    workers = Workers(line)
    checker = await workers.start(*answers)
    async with asyncio.timeout(30):
        assert (await checker.check(CHECK, RequestContext("r"))).verdicts[0].shield == "words"
    assert len(workers.asked) == asked
    await line.close()


async def test_two_dead_workers_are_silence() -> None:
    line = MemoryLine()
    await line.start()
    checker = await Workers(line).start(False, False)
    with pytest.raises(CaravanError):
        await checker.check(CHECK, RequestContext("r"))
    await line.close()


@given(st.text("ab*", min_size=1, max_size=6), st.text("ab\n", min_size=1, max_size=6))
def test_a_star_stands_for_any_characters(pattern: str, name: str) -> None:
    expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name, re.DOTALL) is not None
    assert (policy(guardrail(models=[pattern]), principal=ADA, names=[name]) is not None) is expected


def test_many_stars_take_no_longer_than_one() -> None:
    row = guardrail(models=["*a" * 40 + "*b"])  # as a regular expression it would never come to an end
    assert policy(row, principal=ADA, names=["a" * 200]) is None
