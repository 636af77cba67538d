"""An item as a client writes it becomes the one that is kept: checked, whole, with an id."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from caravan_contracts.conversations import CALL_BYTES
from caravan_contracts.errors import InvalidRequest, RequestTooLarge

from caravan_agents.conversations.kinds import ITEMS, PARTS, ROLES, Kind, Part, things

ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,128}\Z")
"""Ids that a client may choose: they stand in paths."""
_OUTPUTS: Final = ("function_call_output", "custom_tool_call_output")


@dataclass(frozen=True, slots=True)
class Item:
    """One that can be kept."""

    id: str
    data: bytes
    """JSON."""
    chosen: bool
    """Whether somebody else gave it its id, so that there may be another of it."""


def prepare(given: Sequence[dict[str, Any]], item_bytes: int) -> list[Item]:
    """Each of these, with the defaults that OpenAI fills in. Raises InvalidRequest naming the field, and when one is
    over `item_bytes` bytes of JSON."""
    made = []
    known: set[str] = set()
    for place, item in enumerate(given):
        where = f"items[{place}]"
        one = _prepare(item, where, item_bytes)
        if one.id in known:
            raise InvalidRequest(f"'{where}.id': {one.id!r} is the id of another of these items", param=f"{where}.id")
        known.add(one.id)
        made.append(one)
    return made


def check_call(items: Sequence[Item]) -> None:
    """Raises RequestTooLarge when these do not fit into one message of the bus."""
    if (size := sum(len(item.data) for item in items)) > CALL_BYTES:
        raise RequestTooLarge(f"the items of one call have {size} bytes; at most {CALL_BYTES} are taken", param="items")


def _prepare(item: dict[str, Any], where: str, item_bytes: int) -> Item:
    name, kind = _kind(item, where)
    _check_fields(item, kind, where)
    chosen = item.get("id") is not None
    if chosen and not (isinstance(item["id"], str) and ID.match(item["id"])):
        raise _wrong(f"{where}.id", "1 to 128 letters, digits or any of _ . : -", item["id"])
    rest = {key: value for key, value in item.items() if key not in ("id", "type", "status")}
    made: dict[str, Any] = {"id": item["id"] if chosen else f"{kind.prefix}_{secrets.token_hex(24)}", "type": name}
    if kind.status:
        made["status"] = _status(item.get("status"), kind, where)
    made.update(rest)
    if name == "message":
        made["role"], made["content"] = _role(item, where), _content(item, where)
    elif isinstance(item.get("output"), list) and name in _OUTPUTS:
        made["output"] = _parts(item["output"], f"{where}.output")
    try:
        data = orjson.dumps(made)
    except orjson.JSONEncodeError as error:
        raise InvalidRequest(f"'{where}' cannot be kept: {error}", param=where) from error
    if len(data) > item_bytes:
        raise InvalidRequest(
            f"'{where}' has {len(data)} bytes; an item of a conversation may have {item_bytes}",
            param=where,
            code="item_too_large",
        )
    return Item(made["id"], data, chosen)


def _check_fields(item: dict[str, Any], kind: Kind, where: str) -> None:
    for field, check in kind.needs.items():
        if wanted := check(item.get(field)):
            raise _wrong(f"{where}.{field}", wanted, item.get(field))
    for field, check in kind.may.items():
        if item.get(field) is not None and (wanted := check(item[field])):
            raise _wrong(f"{where}.{field}", wanted, item[field])


def _kind(item: dict[str, Any], where: str) -> tuple[str, Kind]:
    name = item.get("type")
    if name is None and "role" in item:
        name = "message"
    if name == "item_reference":
        raise InvalidRequest(
            f"'{where}' refers to an item; a conversation takes items themselves",
            param=f"{where}.type",
            code="unsupported_item",
        )
    kind = ITEMS.get(name) if isinstance(name, str) else None
    if kind is None or not isinstance(name, str):
        raise _wrong(f"{where}.type", f"one of {', '.join(ITEMS)}", name)
    return name, kind


def _status(given: Any, kind: Kind, where: str) -> str:
    """Nobody goes on with an item that lies in a conversation: it is done, or never will be."""
    if given is not None and given not in kind.status:
        raise _wrong(f"{where}.status", f"one of {', '.join(kind.status)}", given)
    return str(given) if given in ("incomplete", "failed") else "completed"


def _role(item: dict[str, Any], where: str) -> str:
    role = item.get("role")
    if role not in ROLES:
        raise _wrong(f"{where}.role", f"one of {', '.join(ROLES)}", role)
    return str(role)


def _content(item: dict[str, Any], where: str) -> list[dict[str, Any]]:
    content = item.get("content")
    if isinstance(content, str):
        kind = "output_text" if item["role"] == "assistant" else "input_text"
        content = [{"type": kind, "text": content}]
    if not isinstance(content, list):
        raise _wrong(f"{where}.content", "a string or a list of parts", content)
    return _parts(content, f"{where}.content")


def _parts(given: list[Any], where: str) -> list[dict[str, Any]]:
    return [_part(part, f"{where}[{place}]") for place, part in enumerate(given)]


def _part(given: Any, where: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise _wrong(where, "an object", given)
    name = given.get("type")
    part = PARTS.get(name) if isinstance(name, str) else None
    if part is None:
        raise _wrong(f"{where}.type", f"one of {', '.join(PARTS)}", name)
    _check_texts(given, part, where)
    made = dict(given)
    for field, value in part.defaults.items():
        if made.get(field) is None:
            made[field] = value
        elif isinstance(value, tuple) and (wanted := things(made[field])):
            raise _wrong(f"{where}.{field}", wanted, made[field])
    return made


def _check_texts(given: dict[str, Any], part: Part, where: str) -> None:
    for field in part.needs:
        if not isinstance(given.get(field), str):
            raise _wrong(f"{where}.{field}", "a string", given.get(field))
    for field in part.one_of:
        if not isinstance(given.get(field), str | None):
            raise _wrong(f"{where}.{field}", "a string", given[field])
    if part.one_of and all(given.get(field) is None for field in part.one_of):
        raise InvalidRequest(f"'{where}' should have one of {', '.join(part.one_of)}", param=where)


def _wrong(where: str, wanted: str, given: Any) -> InvalidRequest:
    if given is None:
        return InvalidRequest(f"'{where}' is missing: it should be {wanted}", param=where)
    shown = repr(given)
    return InvalidRequest(
        f"'{where}' should be {wanted}, not {shown[:80]}{'…' if len(shown) > 80 else ''}", param=where
    )
