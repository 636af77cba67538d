"""Errors of the agents service."""

from __future__ import annotations

from caravan_contracts.errors import CaravanError, NotFound


class SecretMissing(CaravanError):
    """Something is to be encrypted, or opened, and the operator set no secret for it."""

    status = 501
    code = "secret_missing"


class NoObjectStore(CaravanError):
    """The operator has not said where files are kept."""

    status = 501
    code = "no_object_store"


def no_completion(id: str, param: str = "completion_id") -> NotFound:
    """There is none of that id, or it is another tenant's."""
    return NotFound(f"there is no stored chat completion {id[:200]!r}", param=param)


def no_conversation(id: str, param: str = "conversation_id") -> NotFound:
    """There is none of that id, or it is another tenant's."""
    return NotFound(f"there is no conversation {id[:200]!r}", param=param)


def no_item(id: str, conversation: str, param: str = "item_id") -> NotFound:
    """That conversation has none of that id."""
    return NotFound(f"there is no item {id[:200]!r} in the conversation {conversation!r}", param=param)


def no_item_at_all(id: str, param: str = "input") -> NotFound:
    """Nothing of the tenant's that is stored has an item of that id."""
    return NotFound(f"there is no item {id[:200]!r}", param=param)


def no_response(id: str, param: str = "response_id") -> NotFound:
    """There is none of that id, or it is another tenant's, or it was not to be stored."""
    return NotFound(f"there is no response {id[:200]!r}", param=param)


def no_prompt(id: str, version: int | None = None, param: str = "prompt_id") -> NotFound:
    """There is none of that id, or it is another tenant's, or it has no such version."""
    if version is None:
        return NotFound(f"there is no prompt {id[:200]!r}", param=param)
    return NotFound(f"the prompt {id!r} has no version {version}", param="version")
