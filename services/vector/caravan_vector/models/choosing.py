"""Which model does what, when nobody says so."""

from __future__ import annotations

from typing import Final

from caravan_bus.registry_view import RegistryView
from caravan_contracts.errors import InvalidRequest
from caravan_contracts.registry import ModelType

from caravan_vector.models.embedding import Embedder

_PATIENCE: Final = 5.0


class Models:
    """The registry's models, as the caller's tenant may use them."""

    def __init__(self, view: RegistryView, embedder: Embedder, embedding: str, writing: str) -> None:
        """`embedding` and `writing`: those of the installation; "" = the first that there is."""
        self._view = view
        self._embedder = embedder
        self._embedding = embedding
        self._writing = writing

    async def embedding(self, named: str, tenant: str) -> str:
        """A model for vectors. Raises InvalidRequest when there is none, ModelNotFound, DependencyDown."""
        return await self._model(named or self._embedding, tenant, ModelType.EMBEDDING, "embedding_model")

    async def writing(self, named: str, tenant: str) -> str:
        """A model for words. Raises the same."""
        return await self._model(named or self._writing, tenant, ModelType.LLM, "model")

    async def dimension(self, model: str, tenant: str) -> int:
        """Of its vectors, as far as the registry knows it; otherwise 0."""
        target = await self._view.resolve(model, tenant, _PATIENCE) if self._route(model, tenant) is None else None
        spec = target.resource.model if target is not None and target.resource is not None else None
        known = spec.metadata.get("embedding_dimension") if spec is not None else None
        return known if isinstance(known, int) else 0

    def _route(self, model: str, tenant: str) -> object | None:
        return self._view.catalog.route(model, tenant)

    async def _model(self, named: str, tenant: str, kind: ModelType, param: str) -> str:
        await self._view.need(_PATIENCE)
        if named:
            if self._route(named, tenant) is None:
                await self._view.resolve(named, tenant, _PATIENCE)
            return named
        for resource in self._view.catalog.models(tenant):
            if resource.model.model_type is kind and not resource.model.disabled:
                return resource.id
        raise InvalidRequest(
            f"there is no {kind.value} model here: name one as {param!r}, or let the operator add a provider",
            param=param,
        )
