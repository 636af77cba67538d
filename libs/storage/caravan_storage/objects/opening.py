"""The store that a URL names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from caravan_contracts.errors import CaravanError, InvalidRequest

from caravan_storage.objects.local import LocalObjects
from caravan_storage.objects.names import check_prefix
from caravan_storage.objects.protocol import Objects

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_REGION: Final = re.compile(r"[a-z0-9-]{1,40}")
_STYLES: Final = ("path", "virtual")
_OPTIONS: Final = ("endpoint", "region", "style")


def from_url(url: str, environ: Mapping[str, str]) -> Objects:
    """``file:///folder``, or ``s3://bucket/prefix?endpoint=http://host:9000&region=eu-central-1&style=path`` with the
    keys ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY`` and, for keys on time, ``AWS_SESSION_TOKEN`` of `environ`.

    Nothing is connected or made before the first use. Raises CaravanError for anything else, without what the URL
    holds: somebody may have written a key into it.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise _unusable("it is no URL") from error
    if parts.scheme == "file":
        return _folder(parts)
    if parts.scheme == "s3":
        return _bucket(parts, environ)
    raise _unusable("it must begin with file:// or s3://")


def _folder(parts: SplitResult) -> Objects:
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise _unusable("a folder is written with its whole path: file:///var/lib/caravan/objects")
    if parts.query or parts.fragment:
        raise _unusable("a folder takes no options; write ? as %3F and # as %23")
    if "\0" in unquote(parts.path):
        raise _unusable("it is no path")
    return LocalObjects(Path(unquote(parts.path)))


def _bucket(parts: SplitResult, environ: Mapping[str, str]) -> Objects:
    if "@" in parts.netloc:
        raise _unusable("keys do not belong into it; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if not _BUCKET.fullmatch(parts.netloc):
        raise _unusable("after s3:// it must have the name of a bucket: s3://caravan/objects")
    prefix = parts.path.strip("/")
    try:
        check_prefix(prefix)
    except InvalidRequest as error:
        raise _unusable("the path after the bucket may have letters, digits and _ . - / only") from error
    options = _options(parts)
    access, secret = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    if not access or not secret:
        raise _unusable("s3:// needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment")
    if find_spec("aiobotocore") is None:
        raise _unusable('s3:// needs the extra "caravan-storage[s3]"')

    from caravan_storage.objects.s3 import S3Objects  # only for who has such a URL
    from caravan_storage.objects.s3_client import Bucket

    endpoint = options.get("endpoint", "")
    return S3Objects(
        Bucket(
            name=parts.netloc,
            prefix=f"{prefix}/" if prefix else "",
            endpoint=endpoint,
            region=_region(options, environ),
            path_style=options.get("style", "path" if endpoint else "virtual") == "path",
            access_key=access,
            secret_key=secret,
            session_token=environ.get("AWS_SESSION_TOKEN") or None,
        )
    )


def _options(parts: SplitResult) -> dict[str, str]:
    if parts.fragment:
        raise _unusable("it must have no #")
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise _unusable("its options are written ?name=value&name=value") from error
    options = dict(pairs)
    if len(options) != len(pairs) or not options.keys() <= set(_OPTIONS):
        raise _unusable(f"its options are {', '.join(_OPTIONS)}, each at most once")
    if "endpoint" in options and not _is_endpoint(options["endpoint"]):
        raise _unusable("its endpoint must be http://host:port or https://host:port, without anything behind it")
    if options.get("style", "path") not in _STYLES:
        raise _unusable(f"its style must be {' or '.join(_STYLES)}")
    return options


def _region(options: Mapping[str, str], environ: Mapping[str, str]) -> str:
    region = options.get("region") or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    if not _REGION.fullmatch(region):
        raise _unusable("its region (or AWS_REGION) is no name of a region")
    return region


def _is_endpoint(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
            and "@" not in parts.netloc
            and parts.path in ("", "/")
            and not parts.query
            and not parts.fragment
        )
    except ValueError:  # a port that is no number
        return False


def _unusable(reason: str) -> CaravanError:
    return CaravanError(f"CARAVAN_OBJECTS_URL cannot be used: {reason}")
