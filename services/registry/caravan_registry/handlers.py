"""Bus subjects to calls of the service. A subscriber handles one message at a time: none of them may wait for long."""

from __future__ import annotations

from caravan_bus.control.messages import Asked, decoder
from caravan_bus.discovery import Endpoint
from caravan_contracts import subjects
from caravan_contracts.registry import SERVICE, DeleteResource, PutResource, ReportModels, SnapshotRequest
from faststream.nats import NatsBroker

from caravan_registry.service import RegistryService

VERBS = ("snapshot", "put", "delete", "report_models")


def subject(verb: str) -> str:
    """Where `verb` is asked for."""
    return subjects.request(SERVICE, verb)


def endpoints() -> list[Endpoint]:
    """For discovery."""
    return [Endpoint(verb, subject(verb), SERVICE) for verb in VERBS]


def install(broker: NatsBroker, service: RegistryService) -> None:
    """Subscribe `service` to its verbs, in the queue group of all registries."""

    @broker.subscriber(subject("snapshot"), SERVICE, decoder=decoder(SnapshotRequest))
    async def snapshot(asked: Asked[SnapshotRequest]) -> bytes:
        return await service.snapshot(asked.body)

    @broker.subscriber(subject("put"), SERVICE, decoder=decoder(PutResource))
    async def put(asked: Asked[PutResource]) -> bytes:
        return (await service.put(asked.body, asked.context)).model_dump_json().encode()

    @broker.subscriber(subject("delete"), SERVICE, decoder=decoder(DeleteResource))
    async def delete(asked: Asked[DeleteResource]) -> bytes:
        return (await service.delete(asked.body, asked.context)).model_dump_json().encode()

    @broker.subscriber(subject("report_models"), SERVICE, decoder=decoder(ReportModels))
    async def report_models(asked: Asked[ReportModels]) -> bytes:
        return (await service.report_models(asked.body, asked.context)).model_dump_json().encode()
