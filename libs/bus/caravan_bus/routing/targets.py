"""One target of a request: the model of a provider, and what its route says of it."""

from __future__ import annotations

from dataclasses import dataclass

from caravan_contracts.context import DEFAULT_TENANT
from caravan_contracts.routes import Target

from caravan_bus.catalog import ModelTarget


@dataclass(frozen=True, slots=True)
class Candidate:
    """A target that is registered."""

    model: ModelTarget
    options: Target
    provider_type: str = ""
    """``remote::vllm`` …; "" when the provider is not registered."""

    @property
    def id(self) -> str:
        """The name it is listed by, and that stands in its answers: ``<provider>/<model>``."""
        return self.model.id

    @property
    def key(self) -> str:
        """What all processes know it by."""
        model = self.model
        tenant = model.resource.tenant if model.resource is not None else DEFAULT_TENANT
        return f"{tenant}/{model.provider_id}/{model.resource_id}"

    @property
    def context_length(self) -> int | None:
        """Tokens of prompt and answer; None when nobody said."""
        if self.options.context_length is not None:
            return self.options.context_length
        resource = self.model.resource
        said = resource.body.get("metadata", {}).get("context_length") if resource is not None else None
        return said if isinstance(said, int) and said > 0 else None

    @property
    def inline(self) -> bool:
        """Whether its engine runs in the worker itself, where a prefix cache is worth coming back to."""
        return self.provider_type.startswith("inline::")
