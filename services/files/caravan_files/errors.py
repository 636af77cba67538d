"""Errors of the files service."""

from __future__ import annotations

from caravan_contracts.errors import CaravanError, InvalidRequest, NotFound, RequestTooLarge


class StorageFull(CaravanError):
    """The tenant has as many bytes as it may."""

    status = 413
    type = "invalid_request_error"
    code = "storage_limit_exceeded"


class UploadClosed(InvalidRequest):
    """The upload takes nothing any more."""

    code = "upload_closed"


def no_file(id: str, param: str = "file_id") -> NotFound:
    """There is none of that id, or it is another tenant's, or its time is over."""
    return NotFound(f"there is no file {id[:200]!r}", param=param)


def no_upload(id: str, param: str = "upload_id") -> NotFound:
    """There is none of that id, or it is another tenant's."""
    return NotFound(f"there is no upload {id[:200]!r}", param=param)


def too_large(most: int) -> RequestTooLarge:
    """Over the bound of one file."""
    return RequestTooLarge(f"a file may have {most} bytes", param="file", code="file_too_large")


def storage_full(most: int) -> StorageFull:
    """Over the bound of a tenant."""
    return StorageFull(f"there is no room: the files of a tenant may have {most} bytes together", param="file")
