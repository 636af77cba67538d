"""What is asked of shields, and what is told of their verdicts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from caravan_bus.verdicts import VerdictLog, new_verdict_id
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import DeadlineExceeded, InvalidRequest, PermissionDenied, RequestTooLarge, Unavailable
from caravan_contracts.safety import (
    MOST_BYTES,
    MOST_TEXTS,
    Check,
    Level,
    ListShields,
    ListVerdicts,
    Moderate,
    Moderated,
    Moderation,
    RunShield,
    ShieldAnswer,
    ShieldPage,
    ShieldSpec,
    ShieldUsable,
    Stage,
    TryShield,
    Verdict,
    VerdictFact,
    VerdictPage,
    Verdicts,
    Violation,
)

from caravan_safety import content, moderation
from caravan_safety.content import Content
from caravan_safety.gathering import gathered
from caravan_safety.shields.base import Passage, Shield
from caravan_safety.shields.opened import Shields
from caravan_safety.store import Store

MODERATION: Final = "moderation"
"""The shield of this id moderates unless the settings say otherwise."""
_SECONDS: Final = 30.0
"""For one verdict that a client asks for."""
_AT_ONCE: Final = 8
"""Inputs of one moderation that are looked at at the same time."""
_LIGHT: Final = ("inline::keywords", "inline::pii", "inline::secrets", "inline::injection-rules")
"""Kinds of shields that moderate when nobody has said who does: they cost next to nothing."""


Tried = Callable[[ShieldSpec, str], Shield]


class SafetyService:
    """One per process."""

    def __init__(self, shields: Shields, store: Store, log: VerdictLog, tried: Tried, moderator: str = "") -> None:
        """`tried` makes a shield that is not kept; `moderator` is that of moderations that name no model."""
        self._tried = tried
        self._moderator = moderator
        self._shields = shields
        self._store = store
        self._log = log

    async def check(self, request: Check, context: RequestContext) -> Verdicts:
        """Every shield at once. A shield without a verdict says so in its own; raises RequestTooLarge,
        DependencyDown while the registry is not known, DeadlineExceeded."""
        _check_size(request.texts)
        await self._shields.need()
        seconds = min(request.timeout, context.remaining)
        if seconds <= 0:
            raise DeadlineExceeded("the request's time was over before its texts were checked")
        passage = Passage(
            texts=request.texts,
            stage=request.stage,
            before=request.before,
            final=request.final,
            principal=context.principal,
            request_id=context.request_id,
            until=time.monotonic() + seconds,
        )
        asked = (self._shields.verdict(shield, passage, seconds) for shield in request.shields)
        verdicts = await asyncio.gather(*asked)
        self.tell(verdicts, request, context)
        return Verdicts(verdicts=verdicts)

    async def try_shield(self, request: TryShield, context: RequestContext) -> ShieldUsable:
        """Whether its settings can be used. Raises InvalidRequest, PackageMissing, PermissionDenied."""
        if not context.principal.may("admin"):
            raise PermissionDenied(f"{context.principal.subject!r} may not make shields: it needs the role admin")
        made = await asyncio.to_thread(self._tried, request.spec, context.principal.tenant)
        return ShieldUsable(finds_places=made.finds_places, sees=made.sees)

    async def run_shield(self, request: RunShield, context: RequestContext) -> ShieldAnswer:
        """One shield on messages. One that finds places looks at each of them, others judge the last. Raises NotFound,
        InvalidRequest, RequestTooLarge, Unavailable when the shield gives no verdict."""
        await self._shields.need()
        opened = (await self._shields.get(request.shield_id, context.principal.tenant)).shield
        contents = [
            content.read(each.get("content"), f"messages[{i}].content") for i, each in enumerate(request.messages)
        ]
        judged = contents if opened.finds_places else contents[-1:]
        before = content.said(request.messages, contents)[: len(contents) - len(judged)]
        images = tuple(url for each in judged for url in each.images)
        if images and not opened.sees:
            raise InvalidRequest(f"the shield {request.shield_id!r} cannot see images", param="messages")
        passage = self._passage(judged, images, content.stage_of(request.messages[-1]), context)
        verdict = await self._asked(request.shield_id, replace(passage, before=before), context)
        if not verdict.flagged:
            return ShieldAnswer()
        metadata: dict[str, Any] = {
            "violation_type": max(verdict.categories, key=lambda name: verdict.categories[name], default=""),
            "categories": verdict.categories,
        }
        if verdict.findings:
            metadata["findings"] = [each.model_dump(exclude={"replacement"}) for each in verdict.findings]
        message = verdict.message or "the content was flagged"
        return ShieldAnswer(violation=Violation(violation_level=Level.ERROR, user_message=message, metadata=metadata))

    async def list_shields(self, request: ListShields, context: RequestContext) -> ShieldPage:
        """Those that the caller's tenant may use. Raises NotFound for one that there is not."""
        await self._shields.need()
        return ShieldPage(data=self._shields.rows(context.principal.tenant, request.shield_id))

    async def moderate(self, request: Moderate, context: RequestContext) -> Moderation:
        """A result for each text, one for a list of parts. Raises NotFound, InvalidRequest, RequestTooLarge,
        Unavailable when a shield gives no verdict."""
        await self._shields.need()
        shields = await self._moderators(request.model, context.principal.tenant)
        given = request.input
        if isinstance(given, list) and given and isinstance(given[0], dict):
            inputs = [content.read(given, "input")]
        else:
            inputs = [Content(each) for each in ([given] if isinstance(given, str) else given) if isinstance(each, str)]
        if not inputs or len(inputs) > MOST_TEXTS:
            raise InvalidRequest(f"'input' should hold between 1 and {MOST_TEXTS} texts", param="input")
        turns = asyncio.Semaphore(_AT_ONCE)

        async def one(each: Content) -> Moderated:
            async with turns:
                return await self._moderated(each, shields, context)

        results = await gathered(map(one, inputs))
        return Moderation(id=f"modr-{new_verdict_id()[4:]}", model="+".join(shields), results=results)

    async def _moderated(self, given: Content, shields: Sequence[str], context: RequestContext) -> Moderated:
        passage = self._passage([given], given.images, Stage.INPUT, context)
        verdicts = await gathered(self._asked(shield, passage, context) for shield in shields)
        kinds = [(await self._shields.get(shield, context.principal.tenant)).kind for shield in shields]
        return moderation.moderated(list(zip(kinds, verdicts, strict=True)), bool(given.images))

    async def _moderators(self, model: str | None, tenant: str) -> list[str]:
        named = model or self._moderator
        if named:
            await self._shields.get(named, tenant)
            return [named]
        if (found := self._shields.named(MODERATION, tenant)) is not None:
            return [found]
        if light := self._shields.of_kinds(_LIGHT, tenant):
            return light
        raise InvalidRequest(
            f"no shield moderates: name one as 'model', or register one with the id {MODERATION!r}", param="model"
        )

    async def _asked(self, shield: str, passage: Passage, context: RequestContext) -> Verdict:
        opened = await self._shields.get(shield, passage.principal.tenant)
        if passage.images and not opened.shield.sees:
            raise InvalidRequest(f"the shield {shield!r} cannot see images", param="input")
        verdict = await self._shields.verdict(shield, passage, max(0.001, passage.until - time.monotonic()))
        self.tell([verdict], Check(shields=[shield], stage=passage.stage, texts=list(passage.texts)), context)
        if verdict.error:
            raise Unavailable(f"the shield {shield!r} gave no verdict: {verdict.error}", retry_after=1)
        return verdict

    @staticmethod
    def _passage(given: Sequence[Content], images: tuple[str, ...], stage: Stage, context: RequestContext) -> Passage:
        texts = [each.text for each in given]
        _check_size(texts)
        seconds = min(_SECONDS, context.remaining)
        if seconds <= 0:
            raise DeadlineExceeded("the request's time was over before its texts were checked")
        return Passage(
            texts=texts,
            stage=stage,
            images=images,
            principal=context.principal,
            request_id=context.request_id,
            until=time.monotonic() + seconds,
        )

    async def list_verdicts(self, request: ListVerdicts, context: RequestContext) -> VerdictPage:
        """Of the caller's tenant. Raises PermissionDenied, NotFound, DependencyDown."""
        if not context.principal.may("admin"):
            raise PermissionDenied(f"{context.principal.subject!r} may not read the audit: it needs the role admin")
        return await self._store.page(context.principal.tenant, request)

    def tell(self, verdicts: Sequence[Verdict], request: Check, context: RequestContext) -> None:
        """The audit what was said."""
        at, characters = time.time(), sum(map(len, request.texts))
        self._log.tell(
            [
                VerdictFact(
                    id=new_verdict_id(),
                    at=at,
                    tenant=context.principal.tenant,
                    subject=context.principal.subject,
                    request_id=context.request_id,
                    stage=request.stage,
                    guardrail=request.guardrail,
                    shield=verdict.shield,
                    action=request.action,
                    flagged=verdict.flagged,
                    categories=verdict.categories,
                    model=request.model,
                    error=verdict.error,
                    on_failure=request.on_failure,
                    seconds=verdict.seconds,
                    characters=characters,
                )
                for verdict in verdicts
            ]
        )


def _check_size(texts: Sequence[str]) -> None:
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    if size > MOST_BYTES:
        raise RequestTooLarge(f"one check takes {MOST_BYTES} bytes of text, not {size}: make several of it")
