"""What one may ask about stores, each for the tenant who asks."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from caravan_contracts import vectors as v
from caravan_contracts.completions import metadata_problem
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import InvalidRequest
from pydantic import ValidationError

from caravan_vector.attached.service import FileService
from caravan_vector.attached.store import FileTable
from caravan_vector.cleaning import PATIENCE
from caravan_vector.ids import new_store
from caravan_vector.indexes.opened import Indexes
from caravan_vector.models.choosing import Models
from caravan_vector.models.embedding import Embedder
from caravan_vector.stores.removing import Remover
from caravan_vector.stores.rows import Store
from caravan_vector.stores.store import StoreTable
from caravan_vector.strategies import check_strategy
from caravan_vector.texts import storable

log = logging.getLogger(__name__)

_CHANGED: Final = ("name", "description", "metadata", "expires_after")
_PROBE: Final = "How long is a vector?"
_PROBE_SECONDS: Final = 8.0


class StoreService:
    """One per process. Every method raises NotFound for what is not the tenant's, and DependencyDown."""

    def __init__(
        self,
        table: StoreTable,
        files: FileService,
        attached: FileTable,
        indexes: Indexes,
        models: Models,
        embedder: Embedder,
        remover: Remover,
        provider: str,
    ) -> None:
        """`provider`: the index of stores that name none."""
        self._table = table
        self._files = files
        self._attached = attached
        self._indexes = indexes
        self._models = models
        self._embedder = embedder
        self._remover = remover
        self._provider = provider

    async def create(self, asked: v.CreateStore, context: RequestContext) -> v.VectorStore:
        """A new one, whose files are read from now on. Raises InvalidRequest, ModelNotFound."""
        metadata = _metadata(asked.metadata)
        _check_texts(name=asked.name, description=asked.description or "")
        chunking = check_strategy(asked.chunking_strategy)
        files = [v.NewFile(file_id=file) for file in dict.fromkeys(asked.file_ids)]
        wanted = await self._files.check(chunking, files, context) if files else []
        provider = asked.provider_id or self._provider
        index = self._indexes.get(provider)
        tenant = context.principal.tenant
        model = await self._models.embedding(asked.embedding_model, tenant)
        dimension = await self._dimension(model, asked.embedding_dimension, context)
        made = Store(0, tenant, new_store(), provider, model, dimension, chunking)
        days = asked.expires_after.days if asked.expires_after is not None else None
        number = await self._table.make(made, asked.name, asked.description, metadata, days)
        # a row that nobody sees, then its index: what is left of a process that dies in between is swept
        await index.create(tenant, made.id, dimension)
        await self._table.show(number)
        if wanted:
            store = await self._table.find(tenant, made.id)
            await self._files.follow(store, await self._attached.attach(store, wanted, context.principal.encode()))
        return await self._table.get(tenant, made.id)

    async def get(self, asked: v.GetStore, context: RequestContext) -> v.VectorStore:
        """One."""
        return await self._table.get(context.principal.tenant, asked.id)

    async def page(self, asked: v.ListStores, context: RequestContext) -> v.StorePage:
        """A page."""
        return await self._table.page(context.principal.tenant, asked)

    async def update(self, asked: v.UpdateStore, context: RequestContext) -> v.VectorStore:
        """Change what was said of it. Raises InvalidRequest, StoreExpired."""
        return await self._table.change(context.principal.tenant, asked.id, _fields(asked.set))

    async def delete(self, asked: v.DeleteStore, context: RequestContext) -> v.Deleted:
        """Nobody sees it from now on. Its chunks go now, or, should that fail or take long, with the
        next sweep."""
        store = await self._table.hide(context.principal.tenant, asked.id)
        try:
            async with asyncio.timeout(PATIENCE):
                await self._remover.remove(store)
        except TimeoutError:
            log.info("a vector store is removed later: it has very much", extra={"store": store.id})
        return v.Deleted(id=asked.id)

    async def _dimension(self, model: str, wanted: int, context: RequestContext) -> int:
        known = await self._models.dimension(model, context.principal.tenant)
        if not known:
            (vector,) = await self._embedder.query(
                model, 0, [_PROBE], context.principal, context.request_id, _PROBE_SECONDS
            )
            known = len(vector)
        if wanted and wanted != known:
            raise InvalidRequest(
                f"the model {model} makes vectors of {known} numbers, not of {wanted}",
                param="embedding_dimension",
                code="dimension_mismatch",
            )
        return known


def _fields(given: dict[str, Any]) -> dict[str, Any]:
    """Columns and what they become. Raises InvalidRequest."""
    fields: dict[str, Any] = {}
    if "name" in given:
        fields["name"] = _text(given["name"], "name", v.LONGEST_NAME)
    if "description" in given:
        fields["description"] = None if given["description"] is None else _text(given["description"], "description")
    if "metadata" in given:
        fields["metadata"] = _metadata(given["metadata"] or {})
    if "expires_after" in given:
        fields["expires_days"] = _days(given["expires_after"])
    if unknown := [name for name in given if name not in _CHANGED]:
        raise InvalidRequest(
            f"{unknown[0][:100]!r} cannot be changed; {', '.join(_CHANGED)} can", param=unknown[0][:100]
        )
    return fields


def _text(value: Any, param: str, most: int = 2_000) -> str:
    text = value or ""
    if not isinstance(text, str) or len(text) > most:
        raise InvalidRequest(f"'{param}' should be a text of at most {most} characters", param=param)
    _check_texts(**{param: text})
    return text


def _days(value: Any) -> int | None:
    try:
        return None if value is None else v.StoreExpiry.model_validate(value).days
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(["expires_after", *(str(part) for part in first["loc"])])
        raise InvalidRequest(f"'{where}': {first['msg']}", param=where) from error


def _metadata(given: Any) -> dict[str, str]:
    if wrong := metadata_problem(given):
        raise InvalidRequest(f"'metadata' should be {wrong}", param="metadata", code="invalid_metadata")
    made: dict[str, str] = given
    return made


def _check_texts(**texts: str) -> None:
    for param, text in texts.items():
        if not storable(text):
            raise InvalidRequest(f"'{param}' has characters that cannot be kept", param=param)
