"""How documents are read, from the environment."""

from __future__ import annotations

import pytest
from caravan_contracts.errors import CaravanError
from caravan_vector.parsing.errors import DocumentError, InvalidFile, ParserFailed, UnsupportedFile
from caravan_vector.parsing.limits import MIB, Limits
from caravan_vector.parsing.settings import ParsingSettings
from pydantic import ValidationError


def test_the_defaults_are_those_of_the_limits() -> None:
    assert ParsingSettings().limits() == Limits()


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARAVAN_VECTOR_PARSE_TEXT_MIB", "3")
    monkeypatch.setenv("CARAVAN_VECTOR_EXTRA_PARSERS", '{"image/png": "my_ocr:read"}')
    settings = ParsingSettings()
    assert settings.limits().text_bytes == 3 * MIB and settings.extra_parsers == {"image/png": "my_ocr:read"}


@pytest.mark.parametrize("kind", [InvalidFile, UnsupportedFile, ParserFailed])
def test_errors_pass_over_the_bus(kind: type[DocumentError]) -> None:
    said = kind("why", bound="pages")
    heard = CaravanError.from_wire(said.to_wire())
    assert (heard.message, heard.code, heard.status, heard.retryable) == ("why", said.code, said.status, said.retryable)


def test_a_parser_without_a_function_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARAVAN_VECTOR_EXTRA_PARSERS", '{"image/png": "my_ocr"}')
    with pytest.raises(ValidationError, match="module:function"):
        ParsingSettings()
