"""Errors of bodies that break a rule, worded for whoever sent them."""

from __future__ import annotations

from typing import TypeVar

from caravan_bus.control.messages import invalid
from caravan_contracts.errors import InvalidRequest
from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)


def parse(kind: type[Model], body: object, prefix: str = "") -> Model:
    """`body` as `kind`. Raises InvalidRequest naming the first field that is wrong."""
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        raise invalid(error, prefix) from error


def refuse(reason: str, param: str) -> None:
    """Raise InvalidRequest when a rule gave a reason."""
    if reason:
        raise InvalidRequest(reason, param=param)
