"""Objects in a bucket of S3, Amazon's or that of any server with its API.

An object of one part is put at once; a larger one as a multipart upload, of which nothing is seen before its end. What
a process that died had begun is removed by the bucket's own rule (docs/objects.md).
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, closing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from caravan_contracts.errors import DependencyDown, NotFound

from caravan_storage.backoff import pauses
from caravan_storage.objects.bounds import check_range, gathered, one_after_the_other
from caravan_storage.objects.names import check_key, check_prefix, is_key
from caravan_storage.objects.protocol import PIECE, Stored
from caravan_storage.objects.s3_client import TRIES, BeyondEnd, Bucket, Changed, S3Client
from caravan_storage.objects.s3_upload import PART_BYTES, Upload


class S3Objects:
    """:class:`~caravan_storage.objects.protocol.Objects` in a bucket.

    A `put` whose end S3 does not confirm raises DependencyDown, though the object may be there: put it again, or
    delete it.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._client = S3Client(bucket)

    async def put(self, key: str, data: AsyncIterator[bytes], most: int) -> Stored:
        name = self._name(key)
        upload = Upload(self._client, self._bucket.name, name)
        digest = hashlib.sha256()
        size = 0
        try:
            async with aclosing(gathered(data, most, PART_BYTES)) as parts:
                async for part in parts:
                    size += len(part)
                    await asyncio.to_thread(digest.update, part)
                    if len(part) < PART_BYTES and not upload.begun:
                        await self._put_whole(name, part)
                    else:
                        await upload.add(part)
            if upload.begun:
                await upload.complete()
            elif not size:
                await self._put_whole(name, b"")
        finally:
            await asyncio.shield(upload.abort())
        return Stored(size, digest.hexdigest())

    async def get(self, key: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes]:
        check_range(start, end)
        name = self._name(key)
        if start == end:
            async with self._client.calls(key) as s3:
                await s3.head_object(Bucket=self._bucket.name, Key=name)
        etag: str | None = None
        failed, waits = 0, pauses()
        while end is None or start < end:
            try:
                answer = await self._open(key, start, end, etag)
                if answer is None:
                    return
                etag = answer["ETag"]
                with closing(answer["Body"]) as body:
                    while piece := await self._read(body):
                        start += len(piece)
                        failed = 0
                        yield piece
                return
            except DependencyDown as error:
                # the line broke; the rest comes on another, as long as it is the same object
                failed += 1
                if isinstance(error, Changed) or etag is None or failed >= TRIES:
                    raise
                await asyncio.sleep(next(waits))

    async def join(self, key: str, parts: Sequence[str]) -> Stored:
        # its digest needs every byte here anyway, so S3's own copying of parts would save no more than half
        async with aclosing(one_after_the_other(self.get, parts)) as data:
            return await self.put(key, data, most=sys.maxsize)

    async def delete(self, key: str) -> None:
        name = self._name(key)
        async with self._client.calls(key) as s3:
            await s3.delete_object(Bucket=self._bucket.name, Key=name)

    async def keys(self, prefix: str) -> AsyncGenerator[tuple[str, float]]:
        asked = {"Bucket": self._bucket.name, "Prefix": self._bucket.prefix + check_prefix(prefix)}
        more: dict[str, str] = {}
        while True:
            async with self._client.calls() as s3:
                page = await s3.list_objects_v2(**asked, **more)
            now = _now(page)
            for entry in page.get("Contents", ()):
                key = entry["Key"].removeprefix(self._bucket.prefix)
                if is_key(key):  # or it is somebody else's
                    yield key, max(0.0, (now - entry["LastModified"]).total_seconds())
            if not page.get("NextContinuationToken"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    async def close(self) -> None:
        await self._client.close()

    async def _put_whole(self, name: str, body: bytes) -> None:
        async with self._client.calls() as s3:
            await s3.put_object(Bucket=self._bucket.name, Key=name, Body=body)

    async def _open(self, key: str, start: int, end: int | None, etag: str | None) -> Any:
        """The answer whose body is the rest; None when the object ends before it. Raises Changed when it is no longer
        the object of `etag`."""
        asked = {"Bucket": self._bucket.name, "Key": self._name(key)}
        if start or end is not None:
            asked["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        if etag is not None:
            asked["IfMatch"] = etag
        try:
            async with self._client.calls(key) as s3:
                return await s3.get_object(**asked)
        except BeyondEnd:
            return None
        except NotFound as error:
            if etag is None:
                raise
            raise Changed(f"the object {key} was deleted while it was read", retry_after=1) from error

    async def _read(self, body: Any) -> bytes:
        async with self._client.calls():
            piece: bytes = await body.read(PIECE)
        return piece

    def _name(self, key: str) -> str:
        return self._bucket.prefix + check_key(key)


def _now(answer: Any) -> datetime:
    """By the server's clock: ages do not depend on ours."""
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    return parsedate_to_datetime(date) if date else datetime.now(UTC)
