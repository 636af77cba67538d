"""How documents are read, from the environment."""

from __future__ import annotations

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from caravan_vector.parsing.limits import MIB, Limits

_DEFAULT = Limits()
MEGA = 1_000_000


class ParsingSettings(BaseSettings):
    """Workers, and what a document may cost."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", populate_by_name=True)

    parsers: int = Field(2, ge=1, le=64, validation_alias="CARAVAN_VECTOR_PARSERS")
    """Documents read at once, each in a process of its own."""
    parser_documents: int = Field(50, ge=1, le=10_000, validation_alias="CARAVAN_VECTOR_PARSER_DOCUMENTS")
    """Documents after which a process is replaced."""
    parse_seconds: float = Field(_DEFAULT.seconds, gt=0, le=3600, validation_alias="CARAVAN_VECTOR_PARSE_SECONDS")
    """That reading one document may take."""
    parse_cpu_seconds: int = Field(
        _DEFAULT.cpu_seconds, ge=1, le=3600, validation_alias="CARAVAN_VECTOR_PARSE_CPU_SECONDS"
    )
    parse_memory_mib: int = Field(
        _DEFAULT.memory_bytes // MIB, ge=128, le=65_536, validation_alias="CARAVAN_VECTOR_PARSE_MEMORY_MIB"
    )
    """Address space of one process."""
    parse_file_mib: int = Field(
        _DEFAULT.file_bytes // MIB, ge=1, le=65_536, validation_alias="CARAVAN_VECTOR_PARSE_FILE_MIB"
    )
    parse_text_mib: int = Field(
        _DEFAULT.text_bytes // MIB, ge=1, le=4096, validation_alias="CARAVAN_VECTOR_PARSE_TEXT_MIB"
    )
    """Of text that one document may give."""
    parse_unpacked_mib: int = Field(
        _DEFAULT.unpacked_bytes // MIB, ge=1, le=65_536, validation_alias="CARAVAN_VECTOR_PARSE_UNPACKED_MIB"
    )
    """Of all that is packed in an Office document."""
    parse_pages: int = Field(_DEFAULT.pages, ge=1, le=1_000_000, validation_alias="CARAVAN_VECTOR_PARSE_PAGES")
    """Pages, slides or sheets of one document."""
    parse_megapixels: int = Field(
        _DEFAULT.pixels // MEGA, ge=1, le=1000, validation_alias="CARAVAN_VECTOR_PARSE_MEGAPIXELS"
    )
    """Of an image."""
    ocr_pages: int = Field(_DEFAULT.ocr_pages, ge=0, le=10_000, validation_alias="CARAVAN_VECTOR_OCR_PAGES")
    """Images and scanned pages of one document; 0 = none is read by OCR."""
    ocr_seconds: int = Field(_DEFAULT.ocr_seconds, ge=1, le=3600, validation_alias="CARAVAN_VECTOR_OCR_SECONDS")
    """That each of them adds to the two bounds of time."""

    extra_parsers: dict[str, str] = Field(default_factory=dict, validation_alias="CARAVAN_VECTOR_EXTRA_PARSERS")
    """Media type -> "module:function", before what is built in. As JSON."""

    @field_validator("extra_parsers")
    @classmethod
    def _named(cls, parsers: dict[str, str]) -> dict[str, str]:
        for media_type, name in parsers.items():
            module, _, function = name.partition(":")
            if not module or not function.isidentifier():
                raise ValueError(f"CARAVAN_VECTOR_EXTRA_PARSERS: {media_type} should name a parser as module:function")
        return parsers

    def limits(self) -> Limits:
        """The bounds of one document."""
        return Limits(
            file_bytes=self.parse_file_mib * MIB,
            text_bytes=self.parse_text_mib * MIB,
            pages=self.parse_pages,
            unpacked_bytes=self.parse_unpacked_mib * MIB,
            seconds=self.parse_seconds,
            cpu_seconds=self.parse_cpu_seconds,
            memory_bytes=self.parse_memory_mib * MIB,
            pixels=self.parse_megapixels * MEGA,
            ocr_pages=self.ocr_pages,
            ocr_seconds=self.ocr_seconds,
        )
