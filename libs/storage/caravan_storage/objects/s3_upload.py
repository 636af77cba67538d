"""A multipart upload: an object that comes in parts, and is seen when all of them have come."""

from __future__ import annotations

import logging
from typing import Any, Final

from caravan_contracts.errors import CaravanError, RequestTooLarge

from caravan_storage.objects.s3_client import NoUpload, S3Client

log = logging.getLogger(__name__)

PART_BYTES: Final = 8 * 1024 * 1024
"""Of a part, and the memory of a `put`; S3 takes no less than 5 MiB, but for the last part."""
MAX_PARTS: Final = 10_000


class Upload:
    """Begun by its first part. Either `complete` or `abort` is its end."""

    def __init__(self, client: S3Client, bucket: str, name: str) -> None:
        self._client = client
        self._object = {"Bucket": bucket, "Key": name}
        self._id: str | None = None
        self._parts: list[dict[str, Any]] = []

    @property
    def begun(self) -> bool:
        """Whether there is anything to end."""
        return self._id is not None

    async def add(self, body: bytes) -> None:
        """The next part."""
        number = len(self._parts) + 1
        if number > MAX_PARTS:
            raise RequestTooLarge(f"an object of S3 has at most {MAX_PARTS} parts of {PART_BYTES} bytes")
        async with self._client.calls() as s3:
            if self._id is None:
                self._id = (await s3.create_multipart_upload(**self._object))["UploadId"]
            sent = await s3.upload_part(**self._object, UploadId=self._id, PartNumber=number, Body=body)
        self._parts.append({"PartNumber": number, "ETag": sent["ETag"]})

    async def complete(self) -> None:
        """Make the object of what came."""
        async with self._client.calls() as s3:
            await s3.complete_multipart_upload(
                **self._object, UploadId=self._id, MultipartUpload={"Parts": self._parts}
            )
        self._id = None

    async def abort(self) -> None:
        """Remove what came. When even that fails, the bucket's rule for uploads without an end removes it."""
        if self._id is None:
            return
        try:
            async with self._client.calls() as s3:
                await s3.abort_multipart_upload(**self._object, UploadId=self._id)
        except NoUpload:
            log.info("an upload to S3 had ended, though that was not confirmed")
        except CaravanError as error:
            log.warning("parts of an upload to S3 are left behind, for the bucket's own rule: %s", error)
        self._id = None
