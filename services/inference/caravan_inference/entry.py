"""What foreign users may ask of inference: the verbs, and which models there are."""

from __future__ import annotations

from typing import Final

import orjson
from caravan_bus import listing
from caravan_bus.foreign.answering import Answer, Question, Whole
from caravan_bus.inference import Asked, InferenceClient
from caravan_bus.registry_view import RegistryView
from caravan_contracts import models
from caravan_contracts.errors import InvalidJSON
from caravan_contracts.inference import MODELS, Summary, Verb
from pydantic import ValidationError

_PATIENCE: Final = 5.0


class InferenceDesk:
    """See :class:`caravan_bus.foreign.answering.Desk`."""

    verbs: Final = (*(verb.value for verb in Verb), MODELS)

    def __init__(self, view: RegistryView, client: InferenceClient) -> None:
        self._view = view
        self._client = client

    async def ask(self, question: Question) -> Answer:
        """See :meth:`Desk.ask`. Raises what :meth:`InferenceClient.ask` raises, InvalidJSON and ModelNotFound."""
        if question.verb == MODELS:
            return Whole(await self._models(question))
        return _Answer(self._client, await self._client.ask(Verb(question.verb), question.body, question.context))

    async def _models(self, question: Question) -> bytes:
        try:
            asked = models.ModelsRequest.model_validate_json(question.body or b"{}")
        except ValidationError as error:
            raise InvalidJSON('the body is a JSON object: {} or {"model": an id}') from error
        await self._view.need(_PATIENCE)
        catalog, tenant = self._view.catalog, question.context.principal.tenant
        if asked.model:
            return orjson.dumps(listing.named(asked.model, catalog, tenant))
        return orjson.dumps(listing.all_models(catalog, tenant))


class _Answer:
    def __init__(self, client: InferenceClient, asked: Asked) -> None:
        self._client = client
        self._asked = asked
        self.streams = asked.streams
        self.read = asked.stream.read
        self.read_all = asked.stream.read_all

    @property
    def summary(self) -> Summary | None:
        return self._asked.stream.summary

    def leave(self) -> None:
        """Nobody else can go on with it."""

    async def finish(self) -> None:
        await self._client.finish(self._asked)
