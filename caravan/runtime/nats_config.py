"""The NATS configuration as text: a pure function, for the embedded server and for containers alike."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from caravan_contracts.permissions import Permissions


@dataclass(frozen=True, slots=True)
class BusUser:
    """One NKEY user: the server knows its public key and what it may say and hear."""

    name: str
    public_key: str
    permissions: Permissions


@dataclass(frozen=True, slots=True)
class NatsOptions:
    """Where the server listens and keeps its streams."""

    listen: str
    """``host:port`` of clients."""
    monitor: str
    """``host:port`` of the HTTP monitor (``/healthz``, ``/varz``)."""
    store_dir: str
    server_name: str = "caravan"
    max_payload: int = 1024 * 1024
    """Bytes. Larger bodies travel as a claim check: one big message would delay everybody's tokens."""
    max_store_bytes: int = 4 * 1024**3
    max_memory_bytes: int = 256 * 1024**2


def render(options: NatsOptions, users: Iterable[BusUser]) -> str:
    """A whole nats-server configuration. No user without a key, no subject beyond its allow-list."""
    return f"""# Written by caravan; changes are lost at the next start.
server_name: {_quote(options.server_name)}
listen: {_quote(options.listen)}
http: {_quote(options.monitor)}
max_payload: {options.max_payload}

jetstream {{
  store_dir: {_quote(options.store_dir)}
  max_file_store: {options.max_store_bytes}
  max_memory_store: {options.max_memory_bytes}
}}

authorization {{
  users: [
{"".join(_user(user) for user in sorted(users, key=lambda user: user.name))}  ]
}}
"""


def _user(user: BusUser) -> str:
    return f"""    {{
      # {user.name}
      nkey: {_quote(user.public_key)}
      permissions: {{
        publish: {{ allow: {_list(user.permissions.publish)} }}
        subscribe: {{ allow: {_list(user.permissions.subscribe)} }}
      }}
    }}
"""


def _list(subjects: tuple[str, ...]) -> str:
    if not subjects:
        return "[]"
    return "[\n" + "".join(f"          {_quote(subject)}\n" for subject in subjects) + "        ]"


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
