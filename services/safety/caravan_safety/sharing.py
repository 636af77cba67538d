"""What the shields of this process share, for the shields of each tenant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from caravan_bus.inference import InferenceClient
from caravan_bus.registry_view import RegistryView
from caravan_bus.settings import read_secret_file
from caravan_contracts import references
from caravan_contracts.context import DEFAULT_TENANT
from caravan_contracts.errors import InvalidRequest, PermissionDenied
from caravan_contracts.safety import ShieldSpec

from caravan_safety.shields import kinds
from caravan_safety.shields.asking import Asking
from caravan_safety.shields.base import Opinion, Passage, Shield
from caravan_safety.shields.opened import Shields
from caravan_safety.shields.parts import Parts
from caravan_safety.shields.reaching import Reaching

_FILES: Final = ("_file", "_path")


class Sharing:
    """One per process."""

    def __init__(
        self, view: RegistryView, client: InferenceClient, allowed: str, environ: Mapping[str, str], at_once: int
    ) -> None:
        """`allowed`: addresses beside the public Internet. Raises ValueError for one that cannot be read."""
        self._environ = environ
        self._asking = Asking(client)
        self._reaching = Reaching(allowed)
        self._inner = Shields(view, partial(self._parts, cascades=False), at_once)
        self.shields = Shields(view, self._parts, at_once)

    def tried(self, spec: ShieldSpec, tenant: str) -> Shield:
        """One that is not kept. Nothing is told of this process to whoever tries: references stand for something, and
        files are the shared tenant's. Raises InvalidRequest, PermissionDenied and PackageMissing."""
        if tenant != DEFAULT_TENANT and (found := next((key for key in spec.params if key.endswith(_FILES)), "")):
            raise PermissionDenied(
                f"params.{found}: only shields of the shared tenant may name files", param=f"params.{found}"
            )
        return kinds.make(spec, replace(self._parts(tenant), secrets=_stand_ins))

    async def close(self) -> None:
        """Leave every address."""
        await self._reaching.close()

    def _parts(self, tenant: str, cascades: bool = True) -> Parts:
        return Parts(
            tenant, self._asking, self._reaching, self._secrets, partial(self._look, tenant) if cascades else None
        )

    async def _look(self, tenant: str, id: str, passage: Passage) -> Opinion:
        """Another shield of the cascade's own tenant."""
        principal = replace(passage.principal, tenant=tenant)
        return await self._inner.opinion(id, replace(passage, principal=principal))

    def _secrets(self, params: Any) -> Any:
        try:
            return references.resolve(params, self._environ, read_secret_file)
        except (references.BadReference, ValueError) as error:
            raise InvalidRequest(f"params: {error}", param="params") from error


def _stand_ins(params: Any) -> Any:
    try:
        return references.resolve(params, dict.fromkeys(references.variables(params), "x" * 32), lambda _: "x" * 32)
    except references.BadReference as error:
        raise InvalidRequest(f"params: {error}", param="params") from error
