"""The light shields of the safety service, asked in this process."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

from caravan_bus.catalog import Catalog
from caravan_bus.guarding.policy import Policies, Policy
from caravan_bus.guarding.ruling import Mask, merged
from caravan_contracts.context import Principal, RequestContext
from caravan_contracts.errors import CaravanError, Unavailable
from caravan_contracts.registry import Resource
from caravan_contracts.safety import Check, ShieldSpec, Stage, Verdict, VerdictFact, Verdicts
from caravan_safety.shields.base import Passage, Shield
from caravan_safety.shields.keywords import Keywords
from caravan_safety.shields.parts import Parts
from caravan_safety.shields.pii import Pii

WORDS = ["moonbase", "open sesame", "zürich-plan"]
SHIELDS: dict[str, Shield] = {
    "words": Keywords.make(
        ShieldSpec(provider_type="inline::keywords", params={"words": WORDS, "whole_words": False}), Parts("default")
    ),
    "pii": Pii.make(ShieldSpec(provider_type="inline::pii"), Parts("default")),
}


class Local:
    """A checker that answers at once, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Check] = []
        self.error: CaravanError | None = None
        self.wait: asyncio.Event | None = None
        self.turns = random.Random(3)

    async def check(self, check: Check, context: RequestContext) -> Verdicts:
        self.asked.append(check)
        for _ in range(self.turns.randint(0, 12)):
            await asyncio.sleep(0)
        if self.wait is not None:
            await self.wait.wait()
        if self.error is not None:
            raise self.error
        return Verdicts(verdicts=[await _verdict(name, check) for name in check.shields])


class Judging(Local):
    """One that finds `bad` and names no place; it settles whole sentences alone."""

    async def check(self, check: Check, context: RequestContext) -> Verdicts:
        self.asked.append(check)
        text = check.texts[-1]
        settled = None if check.final else text.rfind(".") + 1
        return Verdicts(verdicts=[Verdict(shield=check.shields[0], flagged="bad" in text, settled=settled)])


async def _verdict(name: str, check: Check) -> Verdict:
    if name not in SHIELDS:
        return Verdict(shield=name, error=f"no shield {name}")
    found = await SHIELDS[name].look(Passage(texts=check.texts, stage=check.stage, final=check.final))
    return Verdict(
        shield=name,
        flagged=found.flagged,
        categories=dict(found.categories),
        findings=list(found.findings),
        settled=None if check.final else found.settled,
    )


async def places(text: str, *names: str) -> list[Mask]:
    """What these shields would mask in the whole of it."""
    check = Check(shields=list(names), stage=Stage.OUTPUT, texts=[text])
    verdicts = [await _verdict(name, check) for name in names]
    found = [each for verdict in verdicts for each in verdict.findings]
    return merged(Mask(f.start, f.end, f.replacement or f"[{f.label.upper()}]") for f in found)


class Heard:
    """An audit."""

    def __init__(self) -> None:
        self.facts: list[VerdictFact] = []

    def tell(self, facts: Sequence[VerdictFact]) -> None:
        self.facts += facts


NOBODY = Unavailable("no safety worker is running")


def guardrail(id: str = "g", tenant: str = "default", **body: Any) -> Resource:
    if "checks" not in body:
        known = ("stages", "shields", "action", "on_failure", "timeout")
        check = {"stages": ["output"], "shields": ["words"], **{k: body.pop(k) for k in known if k in body}}
        body["checks"] = [check]
    return Resource(tenant=tenant, kind="guardrail", id=id, revision=1, source="api", created=1, body=body)


def policy(*rows: Resource, principal: Principal | None = None, names: Sequence[str] = ("m",)) -> Policy | None:
    return Policies().of(Catalog(rows), names, principal or Principal())


def needed(*rows: Resource) -> Policy:
    made = policy(*rows)
    assert made is not None
    return made
