"""The webhooks of a stack file: endpoints that are told when a response has ended."""

from __future__ import annotations

from collections.abc import Mapping

from caravan_contracts import references
from caravan_contracts.webhooks import WebhookSpec
from pydantic import ValidationError

from caravan_registry.stack import keys
from caravan_registry.stack.document import Entry
from caravan_registry.stack.expansion import expand
from caravan_registry.stack.problems import Problems


def read(entries: list[Entry], environ: Mapping[str, str], problems: Problems) -> list[WebhookSpec]:
    """The endpoints, their secrets still references. One whose url comes out empty is left out."""
    made: dict[tuple[str, str], WebhookSpec] = {}
    for item in entries:
        found = keys.fields(item, keys.WEBHOOK, frozenset(), "a webhook", problems)
        if not found:
            continue
        if "url" not in found:
            problems.error(item, "a webhook needs a url")
            continue
        before = len(problems.errors)
        values = {
            name: expand(entry, environ, problems, secret=references.is_secret(name)) for name, entry in found.items()
        }
        if len(problems.errors) > before or not values["url"]:
            continue
        spec = _spec(values, item, found, problems)
        if spec is None:
            continue
        if made.setdefault((spec.tenant, spec.url), spec) is not spec:
            problems.error(found["url"], f"this url stands here twice for the tenant {spec.tenant!r}")
    return list(made.values())


def _spec(values: dict[str, object], item: Entry, found: Mapping[str, Entry], problems: Problems) -> WebhookSpec | None:
    given = {name: value for name, value in values.items() if value is not None}
    if "tenant" in given:
        given["tenant"] = str(given["tenant"])
    try:
        return WebhookSpec.model_validate(given)
    except ValidationError as error:
        for mistake in error.errors():
            name = str(mistake["loc"][0]) if mistake["loc"] else ""
            text = mistake["msg"].removeprefix("Value error, ")
            problems.error(found.get(name, item), f"{name}: {text}" if name else text)
        return None
