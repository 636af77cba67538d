"""The seam between a worker and whatever runs models: one Protocol, one file per implementation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

from caravan_contracts.context import DEFAULT_TENANT, RequestContext
from caravan_contracts.inference import CallSpec, Summary, Verb
from caravan_contracts.registry import DiscoveredModel


@dataclass(frozen=True, slots=True)
class Call:
    """One request, admitted: a slot is held for it."""

    verb: Verb
    spec: CallSpec
    body: bytes
    """The client's JSON as it came; its `model` is still ``spec.written_model``."""
    context: RequestContext
    credentials: Mapping[str, str] = field(default_factory=dict)
    """The caller's own provider keys (``<provider id>_api_key`` …); never logged."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a call ended well. `tail` is the last of its bytes: whole SSE events without ``[DONE]`` when the call
    streams (:attr:`Verb.end_mark` is added), the JSON body (or the rest of it) when it does not."""

    summary: Summary
    tail: bytes = b""


class Output(Protocol):
    """Where a provider writes what it has, as soon as it has it."""

    def write(self, data: bytes) -> bool:
        """Send `data`: one or more whole SSE events (without ``[DONE]``), or a piece of a JSON body.

        Never blocks. Returns False when the receiver's credit is used up: then `await room()` before the next.
        """
        ...

    async def room(self) -> None:
        """Wait until there is credit again. Raises ClientGone when the call was cancelled meanwhile."""
        ...


@dataclass(frozen=True, slots=True)
class ProviderOptions:
    """What a provider is made of: the registry's row with its references resolved in this process."""

    id: str
    type: str
    slots: int
    config: Mapping[str, Any] = field(default_factory=dict)
    tenant: str = DEFAULT_TENANT
    """Whose it is. One that is not the shared tenant's may use nothing of the worker's own."""


@runtime_checkable
class Provider(Protocol):
    """Runs calls against one upstream or engine.

    `run` may be cancelled at any time and must then free the upstream at once. Errors are raised as
    :mod:`caravan_contracts.errors`; anything else is a defect and becomes a 500.
    """

    types: ClassVar[Sequence[str]]
    """Provider types this class serves, such as ``("inline::llama-cpp",)``."""
    options: ProviderOptions

    def __init__(self, options: ProviderOptions) -> None: ...

    async def start(self) -> None:
        """Get ready (load weights, open a pool). Raises CaravanError with what to do when it cannot."""
        ...

    async def close(self) -> None:
        """Free everything; called once, after the last call ended."""
        ...

    async def models(self) -> list[DiscoveredModel]:
        """What it serves now. Raises UpstreamFailed while it is down."""
        ...

    async def run(self, call: Call, output: Output) -> Result:
        """Serve one call."""
        ...
