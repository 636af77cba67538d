"""Files and uploads: what the gateway and the files service say to each other about them.

Bytes never travel over the bus. The gateway asks for a place (:class:`BeginFile`), writes the bytes into the object
store itself, and says what came there (:class:`FinishFile`); until then nothing of the file can be seen. The shapes of
files and uploads are OpenAI's (``openai.types.FileObject``, ``Upload``, ``UploadPart``).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field

from caravan_contracts.completions import Order
from caravan_contracts.errors import InvalidRequest
from caravan_contracts.registry import Message

SERVICE: Final = "files"
PURPOSES: Final = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
"""What a client may upload a file for."""
OF_LINES: Final = frozenset(("batch", "fine-tune"))
"""Purposes whose files have one JSON object in each line."""
LARGEST_FILE: Final = 1024**4
"""Bytes, whatever the settings say."""
LARGEST_PART: Final = 64 * 1024 * 1024
"""Bytes of one part of an upload, as at OpenAI."""
MOST_PARTS: Final = 1_000
"""Parts of one upload, those included that are not named in the end."""
UPLOAD_SECONDS: Final = 3600
"""How long an upload takes parts, as at OpenAI."""
BATCH_SECONDS: Final = 30 * 86_400
"""After which a file for a batch is forgotten when nothing else is said, as at OpenAI."""
LONGEST_NAME: Final = 255
"""Characters of a file's name."""
MOST_LISTED: Final = 10_000
PAGE_ROWS: Final = 400
"""Files in one reply: with names of 255 characters, of four bytes each, it fits into a message of the bus."""
_MEDIA_TYPE: Final = re.compile(r"[\w.+-]{1,100}/[\w.+-]{1,100}( ?;[ -~]{0,100})?\Z", re.ASCII)
_SEPARATORS: Final = re.compile(r"[/\\]")

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 in hex."""


PurposeName = Annotated[str, Field(max_length=64, pattern=r"^[a-z_-]*$")]
"""A purpose to look for; "" = any."""


class ExpiresAfter(Message):
    """When a file is to be forgotten."""

    anchor: Literal["created_at"]
    seconds: int = Field(ge=3600, le=30 * 86_400)


class File(BaseModel):
    """OpenAI's File object."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    """Unix seconds, as `expires_at`."""
    expires_at: int | None = None
    filename: str
    purpose: str
    status: Literal["uploaded", "processed", "error"] = "processed"
    status_details: str | None = None


class Upload(BaseModel):
    """OpenAI's Upload object."""

    id: str
    object: Literal["upload"] = "upload"
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: str
    status: Literal["pending", "completed", "cancelled", "expired"]
    file: File | None = None


class UploadPart(BaseModel):
    """OpenAI's UploadPart object."""

    id: str
    object: Literal["upload.part"] = "upload.part"
    created_at: int
    upload_id: str


class Place(BaseModel):
    """Where bytes are to be written, before anybody can see them."""

    id: str
    """Of the file or part that it will be."""
    key: str
    """In the object store."""
    most: int
    """Bytes."""
    seconds: float
    """After which the place is given up: by then it has to be finished."""


class BeginFile(Message):
    """A place for a new file. `length` is what is known of its size, in bytes; 0 = nothing."""

    length: int = Field(0, ge=0)


class FinishFile(Message):
    """The bytes are there: make the file. Asked again, it answers the same."""

    id: str
    bytes: int = Field(ge=0)
    sha256: Digest
    purpose: str
    filename: str
    media_type: str = ""
    expires_after: ExpiresAfter | None = None


class Abandon(Message):
    """Nothing will come of this place: take away what lies there."""

    id: str


class Abandoned(BaseModel):
    """So it is done."""

    id: str


class ListFiles(Message):
    """A page of the tenant's files."""

    purpose: PurposeName = ""
    after: str = ""
    """Id of the last one of the page before."""
    place: str = ""
    """`next` of the page before; goes before `after`."""
    order: Order = "desc"
    limit: int = Field(PAGE_ROWS, ge=1, le=PAGE_ROWS)


class FilePage(BaseModel):
    """Some files."""

    data: list[File]
    has_more: bool = False
    next: str = ""


class GetFile(Message):
    """One file."""

    id: str


class DeleteFile(Message):
    """Forget it."""

    id: str


class FileDeleted(BaseModel):
    """What was forgotten."""

    id: str


class LocateFile(Message):
    """One file, and where its bytes lie."""

    id: str


class LocatedFile(BaseModel):
    """For whoever reads the bytes from the object store itself."""

    file: File
    key: str
    sha256: str
    media_type: str
    """As it was declared; "" when it was not."""


class LocateFiles(Message):
    """Some files, and where their bytes lie."""

    ids: list[str] = Field(min_length=1, max_length=PAGE_ROWS)


class LocatedFiles(BaseModel):
    """Those that are there, in any order."""

    data: list[LocatedFile]


class FilesRemoved(Message):
    """A fact: these files of a tenant are there no more."""

    tenant: str
    ids: list[str]


class CreateUpload(Message):
    """A file that will come in parts."""

    bytes: int = Field(ge=1)
    filename: str
    mime_type: str
    purpose: str
    expires_after: ExpiresAfter | None = None


class BeginPart(Message):
    """A place for a part."""

    upload: str
    length: int = Field(0, ge=0)


class FinishPart(Message):
    """Its bytes are there. Asked again, it answers the same."""

    id: str
    bytes: int = Field(ge=0)
    sha256: Digest


class CompleteUpload(Message):
    """Make a file of the parts, in this order. Asked again with the same parts, it answers the same."""

    id: str
    part_ids: list[str] = Field(min_length=1, max_length=MOST_PARTS)
    md5: str | None = Field(None, pattern=r"^[0-9a-fA-F]{32}$")


class CancelUpload(Message):
    """No parts any more."""

    id: str


def check_purpose(purpose: str) -> str:
    """`purpose`, if files can be uploaded for it. Raises InvalidRequest."""
    if purpose not in PURPOSES:
        raise InvalidRequest(
            f"'purpose' should be one of {', '.join(PURPOSES)}, not {purpose[:100]!r}",
            param="purpose",
            code="invalid_purpose",
        )
    return purpose


def plain_media_type(text: str) -> str:
    """A media type as it was declared; "" when it is none."""
    return text if _MEDIA_TYPE.match(text) else ""


def plain_name(name: str) -> str:
    """A file's name without the path before it and without characters that control something; never empty."""
    last = _SEPARATORS.split(name.replace("\x00", ""))[-1]
    shown = "".join(c for c in last if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
    short = shown.strip()
    if len(short) > LONGEST_NAME:
        stem, dot, end = short.rpartition(".")
        end = dot + end if dot and len(end) <= 16 else ""
        short = (stem if end else short)[: LONGEST_NAME - len(end)] + end
    return short if short.strip(".") else "file"
