"""References to the environment, expanded where they stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caravan_contracts import references

from caravan_registry.stack.document import Entry
from caravan_registry.stack.problems import Problems


def expand(
    entry: Entry,
    environ: Mapping[str, str],
    problems: Problems,
    *,
    secret: bool = False,
    literal: bool = True,
    secrets: bool = True,
) -> Any:
    """The value with its references replaced, except in secrets: a worker resolves those. Mistakes are told with
    their line and leave None. `literal` looks for secrets that are written out as well; without `secrets` no key
    makes its value one, whatever it is called (`first_token`)."""
    if isinstance(entry.value, dict):
        return {
            key: expand(
                part,
                environ,
                problems,
                secret=secret or (secrets and references.is_secret(key)),
                literal=literal,
                secrets=secrets,
            )
            for key, part in entry.value.items()
        }
    if isinstance(entry.value, list):
        return [
            expand(part, environ, problems, secret=secret, literal=literal, secrets=secrets) for part in entry.value
        ]
    try:
        value = references.expand(entry.value, environ, keep_secrets=True, secret=secret)
    except references.BadReference as error:
        problems.error(entry, str(error))
        return None
    # a secret's name is what makes it one, so it is looked at as if it stood under such a key
    if literal and any(references.literal_secrets({"secret": entry.value} if secret else entry.value)):
        problems.error(
            entry, "a secret is written out here: write ${env.NAME}, or name a file with the key's _file form"
        )
        return None
    return value
