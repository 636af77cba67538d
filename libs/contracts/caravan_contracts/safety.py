"""Shields, guardrails, and what is asked of the safety service.

A shield looks at texts and says what it found. A guardrail is policy: which shields look at what of whose requests,
and what is done about it. Both are resources of the registry (kinds ``shield`` and ``guardrail``), so they change at
run time as models do. Whoever asks for inference enforces guardrails (:mod:`caravan_bus.guarding`); the service only
judges.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from caravan_contracts.registry import Message

SERVICE: Final = "safety"
MOST_TEXTS: Final = 64
"""Of one check."""
MOST_BYTES: Final = 512 * 1024
"""Of all texts of one check, UTF-8: a longer input is checked in several."""
MOST_CATEGORIES: Final = 64
"""Of one verdict."""
MOST_WORDS: Final = 1024
"""Characters of a message or an error of a verdict, and of a name in the audit."""
_MOST_NAME: Final = 128
"""Characters of a category."""
LONGEST_MATCH: Final = 256
"""Characters at the end of an unfinished text that a shield may leave unsettled, unless it looks at whole passages:
what is longer is not promised to be found across that border."""


class Stage(StrEnum):
    """Which part of a request is looked at."""

    INPUT = "input"
    """What the user and the system say: messages but those of the next two."""
    OUTPUT = "output"
    """What the model says, reasoning included."""
    TOOL_ARGUMENTS = "tool_arguments"
    TOOL_RESULTS = "tool_results"
    """Messages of role `tool`, results of MCP and of searches among them."""
    EMBEDDINGS = "embeddings"
    """What is to be embedded."""


class Action(StrEnum):
    """What is done when a shield flags something."""

    BLOCK = "block"
    MASK = "mask"
    """Replace what was found. A shield that names no place is obeyed as by `block`."""
    OBSERVE = "observe"
    """Nothing but the audit."""


class OnFailure(StrEnum):
    """What holds when a shield gives no verdict in time."""

    CLOSED = "closed"
    """As if it had flagged everything."""
    OPEN = "open"
    """As if it had flagged nothing; the audit says that it was silent."""


class ShieldSpec(Message):
    """Body of a shield resource. Secrets are references, resolved by the service."""

    provider_type: str = Field(min_length=1)
    """``inline::keywords``, ``inline::llama-guard``, ``remote::openai-moderation`` …"""
    provider_shield_id: str = ""
    """What the provider itself calls it: a model, for those that ask one."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Settings of this kind of shield."""


class GuardrailCheck(Message):
    """One line of a guardrail."""

    model_config = ConfigDict(extra="forbid")

    stages: list[Stage] = Field(min_length=1)
    shields: list[str] = Field(min_length=1, max_length=16)
    action: Action = Action.BLOCK
    on_failure: OnFailure = OnFailure.CLOSED
    timeout: float = Field(default=5.0, gt=0, le=120)
    """Seconds for one verdict."""


class GuardrailSpec(Message):
    """Body of a guardrail resource. One of the tenant `default` holds for every tenant's requests."""

    model_config = ConfigDict(extra="forbid")

    checks: list[GuardrailCheck] = Field(min_length=1, max_length=32)
    models: list[str] = Field(default_factory=list, max_length=64)
    """Names that clients write, or ids of models, `*` for any part; [] = all."""
    subjects: list[str] = Field(default_factory=list, max_length=64)
    """Users of API keys; [] = all."""
    on_request: bool = False
    """Only for requests that name it in the header ``X-Caravan-Guardrails`` (ids, comma-separated)."""
    visible: bool = True
    """Whether callers are told which shield spoke, and of what."""
    message: str = Field(default="The request was blocked by a content policy.", max_length=1024)


class Finding(BaseModel):
    """A place in a text."""

    text: int = 0
    """Which of the texts."""
    start: int
    """In characters (code points)."""
    end: int
    label: str
    """What it is: ``email``, ``credit_card`` …"""
    replacement: str = ""
    """What stands there instead when it is masked; "" = ``[LABEL]``."""


class Said(BaseModel):
    """A message of the conversation that a shield may need to understand what it judges."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str


class Check(Message):
    """``safety.check``: what shields find in texts. For enforcers; asks no guardrail."""

    shields: list[str] = Field(min_length=1, max_length=16)
    stage: Stage
    texts: list[str] = Field(max_length=MOST_TEXTS)
    before: list[Said] = Field(default_factory=list, max_length=64)
    """The conversation, as far as it is sent along."""
    final: bool = True
    """False: more of the last text is to come."""
    guardrail: str = ""
    """For the audit: by which guardrail, what it does about it, and in which request."""
    action: Action = Action.OBSERVE
    on_failure: OnFailure = OnFailure.CLOSED
    model: str = ""
    timeout: float = Field(default=5.0, gt=0, le=120)


class Verdict(BaseModel):
    """What one shield says."""

    shield: str
    flagged: bool = False
    categories: dict[str, float] = Field(default_factory=dict)
    """What was found, with a score of 0 to 1 each."""
    findings: list[Finding] = Field(default_factory=list)
    """Where, if it can say; in the order of texts and places, not overlapping."""
    settled: int | None = None
    """Of an unfinished text: characters of the last one that no continuation can make part of a finding; None = all."""
    message: str = ""
    """For people."""
    error: str = ""
    """Why there is no verdict; then nothing else holds."""
    seconds: float = 0.0


class Verdicts(BaseModel):
    """Answer to a check, in the order of its shields."""

    verdicts: list[Verdict]


class Level(StrEnum):
    """Llama Stack's ``violation_level``."""

    INFO = "info"
    WARN = "warn"
    ERROR = "error"


class RunShield(Message):
    """``safety.run_shield``: Llama Stack's ``POST /v1/safety/run-shield``."""

    shield_id: str = Field(min_length=1)
    messages: list[dict[str, Any]] = Field(min_length=1, max_length=MOST_TEXTS)
    params: dict[str, Any] = Field(default_factory=dict)


class Violation(BaseModel):
    """Llama Stack's SafetyViolation."""

    violation_level: Level
    user_message: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


class ShieldAnswer(BaseModel):
    """Llama Stack's RunShieldResponse."""

    violation: Violation | None = None


class ListShields(Message):
    """``safety.list_shields``: those that the caller's tenant may use."""

    shield_id: str | None = None
    """This one alone; an error where there is none."""


class ShieldRow(BaseModel):
    """One of them, without its settings: words that are looked for are not everybody's."""

    identifier: str
    provider_id: str
    provider_type: str
    provider_shield_id: str
    object: str = "shield"


class ShieldPage(BaseModel):
    """Every one."""

    data: list[ShieldRow]
    object: str = "list"


class TryShield(Message):
    """``safety.try_shield``: make a shield of `spec`, and forget it (role admin)."""

    spec: ShieldSpec


class ShieldUsable(BaseModel):
    """Answer to that; an error says what is wrong."""

    finds_places: bool
    sees: bool


class Moderate(Message):
    """``safety.moderate``: OpenAI's ``POST /v1/moderations``."""

    input: str | list[str] | list[dict[str, Any]]
    """Texts, or content parts (``text``, ``image_url``)."""
    model: str | None = None
    """A shield's id; None = the service's default."""


class Moderated(BaseModel):
    """OpenAI's ``Moderation`` of one input, and what Llama Stack told beside it."""

    flagged: bool
    categories: dict[str, bool]
    category_scores: dict[str, float]
    category_applied_input_types: dict[str, list[str]]
    user_message: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


class Moderation(BaseModel):
    """OpenAI's ``ModerationCreateResponse``."""

    id: str
    model: str
    results: list[Moderated]


def _named(text: str, most: int) -> str:
    """As PostgreSQL can keep it: it knows no NUL, and a name that a stranger chose may be of any length."""
    return text[:most].replace("\0", "\ufffd")


class VerdictFact(BaseModel):
    """``evt.safety.verdict``, and a row of the audit: what was said of which part of which request, never the text."""

    id: str
    at: float
    """Unix seconds."""
    tenant: str
    subject: str
    request_id: str
    stage: Stage
    guardrail: str
    shield: str
    action: Action
    """What the guardrail does about what is flagged."""
    flagged: bool
    categories: dict[str, float] = Field(default_factory=dict)
    model: str = ""
    error: str = ""
    """Why the shield gave no verdict; then `on_failure` decided."""
    on_failure: OnFailure = OnFailure.CLOSED
    seconds: float = 0.0
    characters: int = 0
    """Of the texts that were looked at."""

    @field_validator("subject", "request_id", "guardrail", "shield", "model", "error")
    @classmethod
    def _storable(cls, text: str) -> str:
        return _named(text, MOST_WORDS)

    @field_validator("categories")
    @classmethod
    def _bounded(cls, scores: dict[str, float]) -> dict[str, float]:
        return {_named(name, _MOST_NAME): score for name, score in list(scores.items())[:MOST_CATEGORIES]}


class VerdictRows(BaseModel):
    """A job of the queue `verdicts`: rows of the audit that belong together."""

    data: list[VerdictFact]


class ListVerdicts(Message):
    """``safety.list_verdicts``: the audit of the caller's tenant, newest first (role admin)."""

    after: str = ""
    limit: int = Field(default=50, ge=1, le=500)
    flagged: bool | None = None
    shield: str = ""
    request_id: str = ""


class VerdictPage(BaseModel):
    """One page."""

    data: list[VerdictFact]
    has_more: bool = False
