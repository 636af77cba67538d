"""The S3 client: loaded at the first use, with our waits and tries, and with its errors turned into ours.

aiobotocore costs half a CPU-second, 30 MB and 250 modules to import, so only who has an ``s3://`` URL pays for it. It
is told everything here: it looks for no keys, files or settings of its own.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from caravan_contracts.errors import CaravanError, DependencyDown, NotFound

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 30.0
"""Between two reads of an answer."""
CALL_SECONDS: Final = 120.0
"""One call with all its tries: 8 MiB up a slow line."""
TRIES: Final = 3
"""Of one call, with growing, jittered pauses between them. Tries again also take from a budget that all calls share
and that calls which go well fill up: a server that is away is not asked three times by everybody."""
CONNECTIONS: Final = 256
"""At once. Each download that somebody reads slowly has one."""
_NO_SETTINGS: Final = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}
"""Instead of those of the user's home."""


class Changed(DependencyDown):
    """It is another object now than the one whose beginning was read."""


class NoUpload(DependencyDown):
    """The multipart upload was ended or aborted by somebody else, or its end was not confirmed."""


class BeyondEnd(CaravanError):
    """A range has nothing of the object. Never leaves this package."""

    code = None


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where objects are in S3, and who we are there."""

    name: str
    prefix: str
    """In front of every key; empty, or with a slash at its end."""
    endpoint: str
    """``http(s)://host:port``, or empty for Amazon's own of the region."""
    region: str
    path_style: bool
    """The bucket stands in the path (``host/bucket/key``), as servers other than Amazon's mostly want it, not in the
    name of the host."""
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    session_token: str | None = field(repr=False)

    @property
    def place(self) -> str:
        """For people; without keys."""
        return f"s3://{self.name} at {self.endpoint or self.region}"


class S3Client:
    """aiobotocore's client, made at the first call."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._opening = asyncio.Lock()
        self._open = AsyncExitStack()
        self._client: Any = None

    @asynccontextmanager
    async def calls(self, what: str = "") -> AsyncIterator[Any]:
        """The client, for calls within :data:`CALL_SECONDS` of which `what` is the object. Raises NotFound,
        BeyondEnd, or DependencyDown."""
        client = self._client or await self._connect()
        errors = importlib.import_module("botocore.exceptions")
        http = importlib.import_module("aiohttp")
        try:
            async with asyncio.timeout(CALL_SECONDS):
                yield client
        except errors.ClientError as error:
            raise self._refused(error, what) from error
        except (OSError, TimeoutError, errors.BotoCoreError, http.ClientError) as error:
            # names of errors, not their texts: those hold addresses that were signed
            raise self._down(type(error).__name__) from error

    async def close(self) -> None:
        """Close every connection."""
        self._client = None
        await self._open.aclose()

    async def _connect(self) -> Any:
        async with self._opening:
            if self._client is None:
                session = await asyncio.to_thread(_session)
                config = importlib.import_module("aiobotocore.config").AioConfig(
                    connect_timeout=CONNECT_SECONDS,
                    read_timeout=READ_SECONDS,
                    max_pool_connections=CONNECTIONS,
                    retries={"mode": "standard", "total_max_attempts": TRIES},
                    s3={"addressing_style": "path" if self._bucket.path_style else "auto"},
                    # checksums in trailers are Amazon's own way, which many other servers do not know
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                    ignore_configured_endpoint_urls=True,
                )
                self._client = await self._open.enter_async_context(
                    session.create_client(
                        "s3",
                        config=config,
                        region_name=self._bucket.region,
                        endpoint_url=self._bucket.endpoint or None,
                        aws_access_key_id=self._bucket.access_key,
                        aws_secret_access_key=self._bucket.secret_key,
                        aws_session_token=self._bucket.session_token,
                    )
                )
        return self._client

    def _refused(self, error: Any, what: str) -> CaravanError:
        code = str(error.response.get("Error", {}).get("Code", "")) or "no reason"
        match code:  # a HEAD has no body, so its code is the status
            case "NoSuchKey" | "404":
                return NotFound(f"there is no object {what}")
            case "PreconditionFailed" | "412":
                return Changed(f"the object {what} was written anew while it was read", retry_after=1)
            case "InvalidRange" | "416":
                return BeyondEnd(f"the object {what} ends before that")
            case "NoSuchUpload":
                return NoUpload("there is no such upload, or it has ended", retry_after=1)
            case _:
                return self._down(code)

    def _down(self, reason: str) -> DependencyDown:
        return DependencyDown(f"{self._bucket.place} cannot be used now: {reason}", retry_after=2)


def _session() -> Any:
    """Blocking: reads code and descriptions of the API."""
    made = importlib.import_module("aiobotocore.session").AioSession(session_vars=_NO_SETTINGS)
    importlib.import_module("botocore.exceptions")
    for name in ("botocore", "aiobotocore"):
        # below this they write what they sign, session tokens included
        logging.getLogger(name).setLevel(logging.WARNING)
    loader = made.get_component("data_loader")
    loader.load_service_model("s3", "service-2")
    for name in ("endpoints", "partitions", "sdk-default-configuration"):
        loader.load_data(name)
    return made
