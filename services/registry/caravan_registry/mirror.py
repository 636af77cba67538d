"""What this replica knows of the registry, ready to be sent: snapshots never wait for PostgreSQL."""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Iterable
from typing import Any, Final

import orjson
from caravan_contracts.errors import DependencyDown
from caravan_contracts.registry import ChangeFact, Resource, SnapshotRequest, key_of

PAGE_BYTES: Final = 512 * 1024
"""A page ends before this, well under a bus message of 1 MB."""
UNKNOWN: Final = -1


class Mirror:
    """Resources by key, each as the JSON it is sent as."""

    def __init__(self) -> None:
        self.revision = UNKNOWN
        self._rows: dict[str, bytes] = {}
        self._keys: list[str] = []

    @property
    def loaded(self) -> bool:
        """Whether anything is known."""
        return self.revision != UNKNOWN

    def __len__(self) -> int:
        return len(self._rows)

    def replace(self, revision: int, resources: Iterable[Resource]) -> None:
        """Begin anew."""
        self._rows = {_key(resource): _encode(resource) for resource in resources}
        self._keys = sorted(self._rows)
        self.revision = revision

    def apply(self, fact: ChangeFact) -> bool:
        """Take over a change; False when it does not follow on what is known."""
        if fact.previous != self.revision:
            return False
        self._rows.update((_key(resource), _encode(resource)) for resource in fact.changed)
        for key in fact.removed:
            self._rows.pop(key, None)
        self._keys = sorted(self._rows)
        self.revision = fact.revision
        return True

    def page(self, request: SnapshotRequest) -> bytes:
        """A SnapshotPage as JSON. Raises DependencyDown while nothing is known."""
        if not self.loaded:
            raise DependencyDown("the registry has not read its database yet; try again shortly", retry_after=1)
        if request.after and request.revision != self.revision:
            return orjson.dumps({"revision": self.revision, "resources": [], "next": "", "restart": True})
        start = bisect_right(self._keys, request.after) if request.after else 0
        end, size = start, 0
        for key in self._keys[start : start + request.limit]:
            size += len(self._rows[key])
            if end > start and size > PAGE_BYTES:
                break
            end += 1
        rows = b",".join(self._rows[key] for key in self._keys[start:end])
        following = self._keys[end - 1] if end < len(self._keys) else ""
        return b'{"revision":%d,"resources":[%b],"next":%b,"restart":false}' % (
            self.revision,
            rows,
            orjson.dumps(following),
        )

    def dump(self) -> bytes:
        """Everything, compressed, for Redis."""
        rows = b",".join(self._rows[key] for key in self._keys)
        return zlib.compress(b'{"revision":%d,"resources":[%b]}' % (self.revision, rows), level=1)

    @staticmethod
    def undump(data: bytes) -> tuple[int, list[Resource]]:
        """The opposite of :meth:`dump`; raises ValueError for anything else."""
        try:
            made: dict[str, Any] = orjson.loads(zlib.decompress(data))
            return int(made["revision"]), [Resource.model_validate(row) for row in made["resources"]]
        except (zlib.error, KeyError, TypeError) as error:
            raise ValueError(f"no snapshot of a registry: {error!r}") from error


def _key(resource: Resource) -> str:
    return key_of(resource.tenant, resource.kind, resource.id)


def _encode(resource: Resource) -> bytes:
    return resource.model_dump_json().encode()
