"""What stands in the form of a new file beside its bytes, in any order."""

from __future__ import annotations

from typing import Any, Final

import orjson
from caravan_contracts.errors import InvalidRequest
from caravan_contracts.files import ExpiresAfter, check_purpose
from pydantic import ValidationError

_EXPIRES: Final = "expires_after"


class Fields:
    """Those of one form."""

    def __init__(self) -> None:
        self.purpose = ""
        """"" as long as it is not known."""
        self._expires: dict[str, Any] | None = None

    def take(self, name: str, text: str) -> None:
        """One of them; those that nobody knows are passed over. Raises InvalidRequest."""
        if name == "purpose":
            self.purpose = check_purpose(text)
        elif name == _EXPIRES:
            self._expires = _object(text)
            self.expires_after()  # what is wrong is said before the bytes come
        elif name.startswith(f"{_EXPIRES}[") and name.endswith("]"):
            self._expires = {**(self._expires or {}), name[len(_EXPIRES) + 1 : -1]: text}

    def expires_after(self) -> ExpiresAfter | None:
        """Raises InvalidRequest."""
        if self._expires is None:
            return None
        try:
            return ExpiresAfter.model_validate(self._expires)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join([_EXPIRES, *(str(part) for part in first["loc"])])
            raise InvalidRequest(f"'{where}': {first['msg']}", param=where, code="invalid_expires_after") from error

    def needed_purpose(self) -> str:
        """Raises InvalidRequest when there is none."""
        if not self.purpose:
            raise InvalidRequest("'purpose' is missing", param="purpose", code="missing_required_parameter")
        return self.purpose


def _object(text: str) -> dict[str, Any]:
    try:
        made = orjson.loads(text)
    except orjson.JSONDecodeError:
        made = None
    if not isinstance(made, dict):
        raise InvalidRequest(f"'{_EXPIRES}' should be a JSON object", param=_EXPIRES, code="invalid_expires_after")
    return made
