"""Moderations and shields: one message each way, so that they need no stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from caravan_client.answers import Object

if TYPE_CHECKING:
    from caravan_client.client import Caravan

SERVICE: Final = "safety"


class ModerationResult(Object):
    """What was found in one input."""

    flagged: bool
    categories: dict[str, bool]
    """OpenAI's, and those of the shield."""
    category_scores: dict[str, float]
    category_applied_input_types: dict[str, list[str]]
    user_message: str | None
    metadata: dict[str, Any]


class ModerationCreateResponse(Object):
    """Answer of ``moderations.create``."""

    id: str
    model: str
    results: list[ModerationResult]


class SafetyViolation(Object):
    """What a shield objects to."""

    violation_level: str
    user_message: str | None
    metadata: dict[str, Any]


class RunShieldResponse(Object):
    """Answer of ``safety.run_shield``: None where nothing was found."""

    violation: SafetyViolation | None


class Shield(Object):
    """Without its settings, which are for administrators."""

    identifier: str
    provider_id: str
    provider_type: str
    provider_shield_id: str


class ShieldPage(Object):
    """Every shield: ``.data``, or ``async for``."""

    data: list[Shield]
    object: str

    async def __aiter__(self) -> AsyncIterator[Shield]:
        for shield in self.data:
            yield shield


class Moderations:
    """``client.moderations``."""

    def __init__(self, client: Caravan) -> None:
        self._client = client

    async def create(
        self, *, input: str | Iterable[str] | Iterable[Mapping[str, Any]], model: str | None = None, **params: Any
    ) -> ModerationCreateResponse:
        """What a shield (`model`) says of a text, of each of several, or of content parts."""
        fields = {"input": input, "model": model, **params}
        return await self._client._control(SERVICE, "moderate", fields, ModerationCreateResponse)


class Safety:
    """``client.safety``."""

    def __init__(self, client: Caravan) -> None:
        self._client = client

    async def run_shield(
        self, *, shield_id: str, messages: Iterable[Mapping[str, Any] | Object], **params: Any
    ) -> RunShieldResponse:
        """What one shield says of messages, as Llama Stack's client asks it. Raises NotFoundError."""
        fields = {"shield_id": shield_id, "messages": list(messages), **params}
        return await self._client._control(SERVICE, "run_shield", fields, RunShieldResponse)


class Shields:
    """``client.shields``. Registering them is for administrators, which no bus user is: over HTTP."""

    def __init__(self, client: Caravan) -> None:
        self._client = client

    def list(self, **params: Any) -> ShieldList:
        """Every shield that the caller's tenant may use: ``await`` it, or ``async for``."""
        return ShieldList(self._client, params)

    async def retrieve(self, shield_id: str, **params: Any) -> Shield:
        """One of them. Raises NotFoundError."""
        [found] = (await ShieldList(self._client, {"shield_id": shield_id, **params})).data
        return found


class ShieldList:
    """The shields that are to be asked for."""

    def __init__(self, client: Caravan, params: Mapping[str, Any]) -> None:
        self._client = client
        self._params = params

    def __await__(self) -> Generator[Any, None, ShieldPage]:
        return self._client._control(SERVICE, "list_shields", self._params, ShieldPage).__await__()

    async def __aiter__(self) -> AsyncIterator[Shield]:
        for shield in (await self).data:
            yield shield
