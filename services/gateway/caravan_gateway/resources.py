"""What the routes of every kind of resource share: who asks, what is known, and how it is changed."""

from __future__ import annotations

from collections.abc import Mapping

from caravan_bus.catalog import Catalog
from caravan_bus.registry_view import RegistryView
from caravan_bus.requests import Requester
from caravan_contracts.context import Principal, RequestContext
from caravan_contracts.registry import Changed, Resource
from fastapi import Request
from pydantic import BaseModel

from caravan_gateway.auth import Authenticator, need


class Resources:
    """The registry, as the HTTP routes use it."""

    def __init__(self, view: RegistryView, requester: Requester, auth: Authenticator) -> None:
        self._view = view
        self._requester = requester
        self._auth = auth

    def catalog(self) -> Catalog:
        """The newest one."""
        return self._view.catalog

    async def who(self, request: Request) -> Principal:
        """The principal of a request, as a FastAPI dependency."""
        return await self.known(dict(request.scope["headers"]))

    async def known(self, headers: Mapping[bytes, bytes]) -> Principal:
        """Whom the headers of a request name. Raises AuthenticationFailed, and what :meth:`RegistryView.need` does."""
        await self._view.need(2.0)
        return self._auth.of(headers)

    async def change(self, request: Request, principal: Principal, verb: str, message: BaseModel) -> Resource:
        """Ask the registry for a change; what came of it. Raises PermissionDenied and the registry's errors."""
        need(principal, "admin")
        context = RequestContext(request.scope["caravan_request_id"], principal)
        changed = await self._requester.ask("registry", verb, message, Changed, context, timeout=10.0)
        return changed.resource
