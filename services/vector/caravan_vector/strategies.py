"""Chunking strategies, as clients write them."""

from __future__ import annotations

from typing import Any, Final

from caravan_contracts.errors import InvalidRequest
from pydantic import TypeAdapter, ValidationError

from caravan_vector.chunking.strategy import Auto, ChunkingStrategy

_adapter: Final[TypeAdapter[ChunkingStrategy]] = TypeAdapter(ChunkingStrategy)
_PARAM: Final = "chunking_strategy"


def check_strategy(given: dict[str, Any] | None) -> dict[str, Any]:
    """The strategy with all it means written out: `auto`, which nothing at all stands for as well, is `static` with
    the sizes of its choice. Raises InvalidRequest."""
    try:
        strategy = _adapter.validate_python(given if given is not None else {"type": "auto"})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join([_PARAM, *(str(part) for part in first["loc"][1:])])  # the first part is the type
        raise InvalidRequest(f"'{where}': {first['msg']}", param=where, code="invalid_chunking_strategy") from error
    if isinstance(strategy, Auto):
        return {"type": "static", "static": strategy.sizes.model_dump()}
    made: dict[str, Any] = strategy.model_dump()
    return made
